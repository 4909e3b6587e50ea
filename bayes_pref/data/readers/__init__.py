"""From the tables that people have to comparisons."""
