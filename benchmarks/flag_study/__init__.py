"""What `benchmarks/flags.py` is made of: worlds, their truth, the verdicts, and today's practice."""
