"""Engines agree on mixtures and on a cause that users share with their contexts."""

from __future__ import annotations

import pytest
from agreement import check_pair, pairs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("name", "one", "other"), pairs("latent"))
def test_engines_draw_from_the_same_posterior(name: str, one: str, other: str) -> None:
    check_pair(name, one, other)
