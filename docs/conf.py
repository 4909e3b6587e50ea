"""How Sphinx builds the site: `make docs`.

The folder that Sphinx reads is the repository, so that links between pages, notebooks and the files
at the top are the same on the site as in any other view of the repository.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import bayes_pref  # noqa: E402 - the package of this folder, whatever is installed

project = "bayes_pref"
author = "The bayes_pref authors"
project_copyright = author
version = release = bayes_pref.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
]
root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/*.ipynb", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = ["docs/_*", "**/.ipynb_checkpoints"]

# Pages are Markdown. Notebooks hold their outputs: tests run them, which takes too long here.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# What docstrings name in single backticks becomes a link where it is an object of the package.
default_role = "autolink"
autosummary_generate = True
autosummary_generate_overwrite = True
autodoc_typehints = "none"  # what each parameter takes is said in words
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

templates_path = [str(ROOT / "docs" / "_templates")]
html_theme = "pydata_sphinx_theme"
html_title = "bayes_pref"
html_static_path = ["_static"]
# Pages that stand alone have no neighbours to list.
html_sidebars = {"docs/start": [], "docs/which_tool": []}
html_css_files = ["site.css"]
html_extra_path = ["_top"]  # an index.html at the top that leads to the first page
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "bayes_pref"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# Addresses of papers stand behind publishers who refuse anything that is no browser.
linkcheck_ignore = [r"https://doi\.org/"]
linkcheck_anchors = False
linkcheck_timeout = 15


def signature_of_class(
    app: object, what: str, name: str, thing: Any, options: object, signature: str, returned: str
) -> tuple[str, str] | None:
    """Show the arguments of a class as its users give them.

    Sphinx would show those of ``__new__``, which only checks their spelling.
    """
    del app, name, options
    if what != "class" or "**kwargs" not in (signature or ""):
        return None
    plain = inspect.signature(thing)
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in plain.parameters.values()]
    shown = plain.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    return str(shown), returned


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", signature_of_class)
