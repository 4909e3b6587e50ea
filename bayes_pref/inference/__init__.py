"""Engines: how a model becomes a posterior."""
