"""Identifiability: what the data determine, what the prior decides, what other users lend."""
