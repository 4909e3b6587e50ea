"""Results as pages and folders."""
