"""Polya-Gamma Gibbs sampling."""
