"""Draws: labels of every dimension, layouts, and thinning that is the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from made_posteriors import made_comparisons, made_posterior

from bayes_pref.draws import evenly_spaced, label, parameters, stack, stack_last, stacked, thin


def test_dimensions_without_labels_of_the_data_are_numbered() -> None:
    values = {"V": np.zeros((2, 5, 3, 2)), "share": np.zeros((2, 5, 4))}
    variables = {"V": ("feature", "factor"), "share": ("component",)}
    draws = label(values, variables, made_comparisons())
    assert draws["factor"].to_numpy().tolist() == ["factor_1", "factor_2"]
    assert draws["component"].to_numpy().tolist() == [1, 2, 3, 4]
    assert draws["user"].to_numpy().tolist() == ["zoe", "ann", "bob", "kim"]
    assert set(draws.dims) == {"chain", "draw", "feature", "factor", "component", "user"}


def test_layouts_do_not_depend_on_the_order_of_dimensions() -> None:
    weights = made_posterior().draws["weights"]
    values = weights.to_numpy()
    for given in (weights, weights.transpose("feature", "draw", "user", "chain")):
        np.testing.assert_array_equal(stack(given, "user", "feature"), values.reshape(100, 4, 3))
        np.testing.assert_array_equal(
            stack_last(given, "user", "feature"), values.reshape(100, 4, 3).transpose(1, 2, 0)
        )
    np.testing.assert_array_equal(
        stacked(weights.to_dataset(name="weights"), "weights", "feature", "user"),
        values.reshape(100, 4, 3).swapaxes(1, 2),
    )
    changed = stack_last(weights, "user", "feature")
    changed.sort()
    np.testing.assert_array_equal(weights, values)


@pytest.mark.parametrize("most", [1, 7, 50, 99, 100, 1000])
def test_thinned_draws_are_evenly_spaced_and_equally_many_of_each_chain(most: int) -> None:
    draws = made_posterior().draws  # two chains of 50
    kept = thin(draws, most)
    assert kept.sizes["draw"] == min(50, -(-most // 2))
    gaps = np.diff(kept["draw"].to_numpy())
    assert kept["draw"].to_numpy()[0] == 0
    assert not gaps.size or gaps.max() - gaps.min() <= 1
    xr.testing.assert_identical(thin(draws["weights"], most), kept["weights"])


def test_a_short_run_is_not_thinned() -> None:
    assert evenly_spaced(3, 10).tolist() == [0, 1, 2]
    assert evenly_spaced(0, 10).tolist() == []


def test_a_parameter_of_a_symmetric_matrix_is_named_once() -> None:
    matrix = xr.DataArray(
        np.arange(4.0).reshape(1, 1, 2, 2),
        {"feature": ["a", "b"], "feature_bis": ["a", "b"]},
        ("chain", "draw", "feature", "feature_bis"),
        name="correlation",
    )
    names, values = parameters(matrix)
    assert names == ["correlation[a, b]"]
    assert values.tolist() == [[[1.0]]]
