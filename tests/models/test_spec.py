"""What models say of their population, and what follows from it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from cases import MODELS, small_comparisons

import bayes_pref as bp
from bayes_pref.models.design import Batch
from bayes_pref.seeding import seeded

CONTENTS = {  # covariance, terms, components, whether contexts are modelled
    "pooled": ("none", [], None, False),
    "diagonal": ("diagonal", ["B"], None, False),
    "full, exposure": ("full", ["B", "G"], None, False),
    "one factor": ("diagonal", ["B", "V"], None, False),
    "two factors, no noise": ("none", ["B", "V"], None, False),
    "mixture": ("diagonal", [], 2, False),
    "mixture, exposure": ("diagonal", [], 2, True),
    "shared cause, full": ("full", ["B", "Gamma"], None, True),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_the_spec_says_how_users_differ(name: str) -> None:
    spec = MODELS[name].spec(small_comparisons(covariates=True))
    covariance, terms, components, contexts = CONTENTS[name]
    assert spec.covariance == covariance
    assert [term.name for term in spec.terms] == terms
    assert spec.components == components
    assert (spec.contexts is not None) == contexts
    assert spec.spread_sd.size == (0 if covariance == "none" else 2)


@pytest.mark.parametrize("name", MODELS)
def test_known_regressors_are_centred_and_latent_ones_have_scores(name: str) -> None:
    comparisons = small_comparisons(covariates=True)
    spec = MODELS[name].spec(comparisons)
    for term in spec.terms:
        assert (term.values is None) == (term.scores is not None)
        assert term.prior_sd.shape == (2, term.size)
    for _, values in spec.known:
        np.testing.assert_allclose(values.mean(axis=0), 0.0, atol=1e-12)
    # One of these holds of every population here.
    structures = [spec.pooled, spec.gaussian and not spec.pooled, spec.factors is not None]
    structures += [spec.cause is not None, spec.components is not None]
    assert sum(structures) == 1


def test_priors_of_terms_are_per_raw_unit() -> None:
    comparisons = small_comparisons(covariates=True)
    covariates, exposure = (
        bp.HierarchicalReward(effect_sd=0.7, exposure=True).spec(comparisons).terms
    )
    size, sd = comparisons.feature_scale, comparisons.covariates[:, 0].std()
    np.testing.assert_allclose(covariates.prior_sd[:, 0], 0.7 / size / sd)
    np.testing.assert_allclose(exposure.prior_sd[:, 0], 0.7 / size)
    raw = bp.HierarchicalReward(effect_sd=0.7, scale="raw").spec(comparisons).terms[0]
    np.testing.assert_allclose(raw.prior_sd, 0.7)


@pytest.mark.parametrize("name", ["pooled", "one factor", "mixture"])
def test_a_model_without_exposure_becomes_a_hierarchical_one_with_it(name: str) -> None:
    comparisons, model = small_comparisons(), MODELS[name]
    other = model.with_exposure(comparisons)
    assert other == bp.HierarchicalReward(exposure=True, mean_sd=model.mean_sd)
    assert model.without_exposure() is model


def test_a_model_with_exposure_stays_and_gives_its_counterpart_without() -> None:
    comparisons = small_comparisons()
    full = bp.HierarchicalReward(covariance="full", spread_sd=0.3, position=True)
    exposed = full.with_exposure(comparisons)
    assert exposed.with_exposure(comparisons) is exposed
    assert exposed.without_exposure() == full
    cause = bp.SharedCauseReward(covariance="full", spread_sd=0.3, position=True)
    assert cause.with_exposure(comparisons) is cause
    assert cause.without_exposure() == full
    probit = bp.PooledReward(choice=bp.Probit(lapse=True))
    assert probit.with_exposure(comparisons).choice == bp.Probit(lapse=True)


@pytest.mark.parametrize("name", ["pooled", "mixture"])
def test_unused_covariates_are_named_in_one_warning(name: str) -> None:
    model, comparisons = MODELS[name], small_comparisons(covariates=True)
    engine = bp.Gibbs(draws=10, warmup=10, chains=1, progress=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bp.fit(model, comparisons, engine)
        with seeded(0):
            model(comparisons)  # an evaluation of the density does not warn again
    found = [each for each in caught if issubclass(each.category, bp.DataWarning)]
    assert len(found) == 1
    assert "does not use the covariates of these comparisons ('age')" in str(found[0].message)
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", bp.DataWarning)
        MODELS["diagonal"].check(comparisons)
        model.check(small_comparisons())


def test_tensors_of_all_users_are_made_once_and_only_for_their_comparisons() -> None:
    comparisons, other = small_comparisons(), small_comparisons(seed=4)
    batch = Batch.of(comparisons, torch.arange(10))
    assert Batch.everyone(comparisons) is batch
    assert Batch.everyone(other) is not batch
    assert Batch.of(comparisons, torch.arange(9)) is not batch
    np.testing.assert_array_equal(batch.difference, comparisons.difference)
    np.testing.assert_array_equal(batch.context, comparisons.context)
