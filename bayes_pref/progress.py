"""Progress bars: a widget in a notebook that can show one, plain text anywhere else.

Pyro imports the same bars. The packages whose files import Pyro, `models` and `inference`, import
this module first, so that a notebook without ipywidgets shows no warning.
"""

import warnings

with warnings.catch_warnings():
    # tqdm warns at its import that it falls back to plain text.
    warnings.filterwarnings("ignore", message="IProgress not found")
    from tqdm.auto import tqdm

__all__ = ["tqdm"]
