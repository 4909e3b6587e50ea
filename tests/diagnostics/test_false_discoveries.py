"""Expected false discovery rates: the largest set, by trying all, and what a report says."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior

import bayes_pref as bp
from bayes_pref.diagnostics.confounding.confounding_assessment import ConfoundingAssessment
from bayes_pref.diagnostics.false_discoveries import called_within, expected_fdr, largest_set
from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS


@pytest.mark.parametrize("fdr", [0.01, 0.1, 0.3, 0.6])
def test_no_larger_set_is_within_the_rate(fdr: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.beta(0.5, 0.5, size=8)
        called = largest_set(p, fdr)
        sets = [list(one) for size in range(1, 9) for one in combinations(range(8), size)]
        within = [len(one) for one in sets if (1.0 - p[one]).mean() <= fdr]
        assert called.sum() == max(within, default=0)
        if called.any():
            rate = expected_fdr(p, called)
            assert rate is not None
            assert rate <= fdr
            assert rate == pytest.approx((1.0 - p[called]).mean())
            assert p[called].min() > p[~called].max(initial=0.0)


def test_equal_probabilities_are_called_together_and_what_was_not_assessed_never() -> None:
    p = np.array([0.9, 1.0, np.nan, 0.9])
    assert largest_set(p, 0.06).tolist() == [False, True, False, False]  # 1.0 and one 0.9: 0.05
    assert largest_set(p, 0.07).tolist() == [True, True, False, True]
    assert not largest_set(np.full(3, np.nan), 0.5).any()
    assert not largest_set(np.array([0.5, 0.2]), 0.1).any()
    assert expected_fdr(p, np.zeros(4, dtype=bool)) is None


def test_in_a_calibrated_world_the_rate_is_the_share_of_false_ones() -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(0.3, 0.3, size=(400, 50))
    true = rng.random(p.shape) < p
    realised = []
    for chances, confounded in zip(p, true, strict=True):
        called = largest_set(chances, 0.1)
        realised.append((~confounded[called]).mean())
    error = np.std(realised) / np.sqrt(400)
    assert np.mean(realised) < 0.1 + 4 * error
    # A wrong partner: by the probability of each alone, the share is far from the rate.
    looser = [(~c[q > 0.5]).mean() for q, c in zip(p, true, strict=True)]
    assert np.mean(looser) > 0.1 + 4 * error


@pytest.mark.parametrize(("permutation_p", "any_called"), [(0.001, True), (0.5, False)])
def test_the_permutation_test_still_has_to_reject(permutation_p: float, any_called: bool) -> None:
    evidence = pd.DataFrame({"p_confounded": [0.97, 0.9, 0.1], "confounded": [True, False, False]})
    found = called_within(evidence, [permutation_p, None], DEFAULT_THRESHOLDS, 0.1)
    assert found["confounded"].tolist() == [any_called, any_called, False]
    assert called_within(evidence, [permutation_p], DEFAULT_THRESHOLDS, None) is evidence
    assert called_within(evidence, [None, None], DEFAULT_THRESHOLDS, 0.1) is evidence


def test_what_randomised_comparisons_resolve_is_cleared_within_the_rate() -> None:
    evidence = pd.DataFrame({"p_confounded": [0.97, 0.9, 0.1], "resolved": [True, False, True]})
    found = called_within(evidence, [0.5, 0.001], DEFAULT_THRESHOLDS, 0.1)
    assert found["confounded"].tolist() == [False, True, False]
    assert found["cleared"].tolist() == [True, False, False]


class KnownProbabilities(ConfoundingAssessment):
    """Probabilities as they are given, of a permutation test that rejected."""

    def run(self, posterior: bp.Posterior, query: Any, settings: Any) -> bp.Assessed:
        columns = pd.DataFrame(0.5, index=range(len(query)), columns=list(self.columns))
        p = np.linspace(0.2, 1.0, len(query))
        return bp.Assessed(
            columns=columns.assign(p_confounded=p),
            evidence=pd.DataFrame({"confounded": p > settings.thresholds.certainty}),
            results={"permutation_p": 0.001},
        )


def test_the_report_says_the_rate_and_a_larger_one_calls_more() -> None:
    posterior = made_posterior()
    asked: dict[str, Any] = {"assessments": ["preference", KnownProbabilities()]}
    plain = bp.diagnose(posterior, **asked)
    called = plain.comparisons["verdict"] == "confounded"
    expected = 1.0 - plain.comparisons["p_confounded"][called].mean()
    assert plain.expected_fdr == pytest.approx(expected)
    assert 0.0 < expected < 0.05
    said = f"Of the comparisons called confounded, {100 * expected:.1f} % are expected not to be"
    assert any(note.startswith(said) for note in plain.notes)
    more = bp.diagnose(posterior, fdr=0.05, **asked)
    assert more.comparisons["verdict"].eq("confounded").sum() > called.sum()
    assert more.expected_fdr is not None
    assert expected < more.expected_fdr <= 0.05
    assert any(note.endswith("the largest set with at most 5 %.") for note in more.notes)
    without = bp.diagnose(posterior, assessments=["preference"])
    with pytest.raises(bp.DataError, match="this report has no expected_fdr"):
        _ = without.expected_fdr
    with pytest.raises(bp.DataError, match="fdr must be a number between 0 and 1 or None, got 5"):
        bp.diagnose(posterior, fdr=5)
