"""The parts of `benchmarks/flags.py`: worlds and their truth, verdicts, and today's practice."""
