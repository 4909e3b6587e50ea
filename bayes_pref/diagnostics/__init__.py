"""Diagnostics: what a posterior can and cannot answer, comparison by comparison."""
