"""Posteriors: draws that answer questions, and are saved and loaded."""

from bayes_pref.convergence.finding import Finding
from bayes_pref.posterior.posterior import Posterior
from bayes_pref.posterior.run import ElboRecord, Run

__all__ = ["ElboRecord", "Finding", "Posterior", "Run"]
