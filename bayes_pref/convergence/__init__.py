"""Whether draws can be trusted: statistics, checks, and what to do."""
