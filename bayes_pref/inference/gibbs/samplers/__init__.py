"""Gibbs samplers: one file for each structure of the population."""
