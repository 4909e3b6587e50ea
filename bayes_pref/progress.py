"""Progress bars: a widget in a notebook that can show one, else plain text, without a complaint.

Pyro imports the same bars, so this module is imported before Pyro is.
"""

import warnings

with warnings.catch_warnings():
    # In a notebook without ipywidgets, tqdm warns at its import that it falls back to plain text.
    warnings.filterwarnings("ignore", message="IProgress not found")
    from tqdm.auto import tqdm

__all__ = ["tqdm"]
