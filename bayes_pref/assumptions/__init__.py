"""Assumptions: the causal graph, what it identifies, and the audit of data before any fit."""
