"""What to ask next, and of whom."""
