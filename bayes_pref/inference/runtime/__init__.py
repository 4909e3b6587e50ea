"""Chains in threads or processes, interrupts and checkpoints."""
