"""Users beside a fit: those whom it has never met, and draws of some whom it has summarised."""
