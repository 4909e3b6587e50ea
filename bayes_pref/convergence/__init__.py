"""Convergence diagnostics of draws: statistics, checks, and findings."""
