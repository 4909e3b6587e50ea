"""Engines agree on correlated features, and a wrong one is noticed."""

from __future__ import annotations

import pytest
from agreement import WRONG, check_pair, check_wrong, pairs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("name", "one", "other"), pairs("full"))
def test_engines_draw_from_the_same_posterior(name: str, one: str, other: str) -> None:
    check_pair(name, one, other)


@pytest.mark.long
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_engine_is_found_out(wrong: dict[str, float]) -> None:
    check_wrong("full, covariates", **wrong)
