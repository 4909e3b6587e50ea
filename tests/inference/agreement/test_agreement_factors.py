"""Engines agree on latent factors, and a wrong one is noticed."""

from __future__ import annotations

import pytest
from agreement import WRONG, check_pair, check_wrong, pairs

pytestmark = pytest.mark.long  # a minute; the same sweeps are tried on the prior every time


@pytest.mark.parametrize(("name", "one", "other"), pairs("factors"))
def test_engines_draw_from_the_same_posterior(name: str, one: str, other: str) -> None:
    check_pair(name, one, other)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_engine_is_found_out(wrong: dict[str, float]) -> None:
    check_wrong("one factor", **wrong)
