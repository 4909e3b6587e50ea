"""Pyro models read and rewritten."""
