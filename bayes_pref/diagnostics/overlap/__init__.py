"""Overlap: how often users like this one see such contexts."""
