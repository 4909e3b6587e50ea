"""Old names of attributes of posteriors: asking for one raises an error that says the new name."""

from __future__ import annotations

from typing import Any

RENAMED = {"engine": "run", "kinds": "membership", "law": "choice_distribution"}


def missing_attribute(owner: object, name: str) -> Any:
    """Raise the error of an attribute that was not found; it says the new name of a renamed one.

    Raises
    ------
    AttributeError
        Always, unless a property of that name failed and now succeeds.
    """
    if name in RENAMED and hasattr(owner, RENAMED[name]):
        raise AttributeError(
            f"{type(owner).__name__!r} object has no attribute {name!r}; "
            f"it is called {RENAMED[name]!r} now",
            name=name,
            obj=owner,
        )
    return object.__getattribute__(owner, name)  # raises the error of its own
