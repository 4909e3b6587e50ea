"""Worlds that break one assumption each, and what an audit of them finds."""
