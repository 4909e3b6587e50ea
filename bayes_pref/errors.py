"""Every error and warning that bayes_pref raises on purpose."""

from __future__ import annotations


class BayesPrefError(ValueError):
    """Base of all errors a user can mend; the message is one sentence that says how."""


class DataError(BayesPrefError):
    """The data, or a saved file, cannot be used as given."""


class ModelError(BayesPrefError):
    """A model, an engine and the data do not fit together."""


class DataWarning(UserWarning):
    """The data can be used, but something in them limits what can be learned."""


class ConvergenceWarning(UserWarning):
    """The draws may not describe the posterior; the message says what to do."""
