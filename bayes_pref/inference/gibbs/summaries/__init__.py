"""Chains that keep a summary of users' weights instead of their draws."""
