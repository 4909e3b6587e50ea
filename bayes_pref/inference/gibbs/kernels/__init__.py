"""Compiled kernels that the samplers share."""
