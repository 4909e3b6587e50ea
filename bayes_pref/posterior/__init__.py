"""Posteriors: draws that answer questions, and are saved and loaded."""

from bayes_pref.posterior.posterior import Finding, Posterior

__all__ = ["Finding", "Posterior"]
