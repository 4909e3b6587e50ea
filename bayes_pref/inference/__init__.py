"""Engines: how a model becomes a posterior."""

from bayes_pref import progress as progress  # before Pyro
