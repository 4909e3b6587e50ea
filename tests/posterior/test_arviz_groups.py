"""What ArviZ finds in `idata`: priors, their density, and what was shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import arviz
import numpy as np
import pytest
from made_posteriors import made_comparisons, made_posterior, made_votes, pooled_posterior
from matplotlib import pyplot
from scipy.stats import halfnorm, norm

import bayes_pref as bp
from bayes_pref.posterior.arviz_bridge import HAS_INFERENCE_DATA, power_scaling


def groups_of(idata: Any) -> set[str]:
    return set(idata.groups()) if HAS_INFERENCE_DATA else set(idata.children)


def test_the_groups_of_the_schema_are_there_and_the_prior_on_request() -> None:
    posterior = made_posterior()
    always = {"posterior", "sample_stats", "log_likelihood", "posterior_predictive"}
    always |= {"observed_data", "constant_data", "log_prior"}
    assert groups_of(posterior.idata) == always
    whole = posterior.to_idata(prior=30)
    assert groups_of(whole) == always | {"prior", "prior_predictive"}
    assert set(whole["prior"].data_vars) == set(posterior.draws.data_vars)
    replicated = whole["prior_predictive"]["choice"]
    assert replicated.shape == (1, 30, len(posterior.comparisons))
    assert set(np.unique(replicated)) <= {0.0, 1.0}
    with pytest.raises(bp.DataError, match="prior must be a whole number"):
        posterior.to_idata(prior=0.5)  # type: ignore[arg-type]


def test_constant_data_are_what_was_shown_to_whom() -> None:
    posterior = made_posterior(made_comparisons(interactions=True, covariates=True))
    data = posterior.comparisons
    found = posterior.idata["constant_data"]
    np.testing.assert_array_equal(found["difference"], data.difference)
    np.testing.assert_array_equal(found["contexts"], data.context)
    np.testing.assert_array_equal(found["covariates"].sel(user="kim"), data.covariates[3])
    own = posterior.draws["weights"].isel(user=found["user_index"].to_numpy())
    assert own["user"].to_numpy().tolist() == data.users[data.user].tolist()


def test_the_prior_density_is_that_of_the_model() -> None:
    posterior = made_posterior(made_comparisons(covariates=True))
    spec = posterior.model.spec(posterior.comparisons)
    found, draws = posterior.idata["log_prior"], posterior.draws
    assert spec is not None
    np.testing.assert_allclose(found["mu"], norm(0.0, spec.mean_sd).logpdf(draws["mu"]))
    np.testing.assert_allclose(found["tau"], halfnorm(0.0, spec.spread_sd).logpdf(draws["tau"]))
    [(term, _)] = spec.known
    np.testing.assert_allclose(found["B"], norm(0.0, term.prior_sd).logpdf(draws["B"]))
    # Where users are not normal, there is none.
    signed = bp.HierarchicalReward(constraints={"tone": "positive"})
    assert "log_prior" not in groups_of(made_posterior(model=signed).idata)
    assert "tau" not in pooled_posterior().idata["log_prior"]


@pytest.mark.parametrize("component", ["prior", "likelihood"])
def test_power_scaling_by_arviz_is_that_of_prior_sensitivity(component: str) -> None:
    posterior = made_posterior(draws=200)
    theirs = power_scaling(posterior.idata, component)
    ours = bp.prior_sensitivity(posterior).set_index("parameter")[component]
    for name in ("mu", "tau"):
        mine = [ours[f"{name}[{feature}]"] for feature in theirs["feature"].to_numpy()]
        np.testing.assert_allclose(theirs[name], mine)


def test_arviz_draws_the_predictive_checks() -> None:
    whole = made_posterior(made_votes()).to_idata(prior=20)
    state = np.random.get_state()  # noqa: NPY002 - ArviZ seeds the global generator
    for group in ("posterior", "prior"):
        if HAS_INFERENCE_DATA:
            axes = arviz.plot_ppc(whole, group=group, num_pp_samples=10)
            assert np.ravel(axes)[0].has_data()
        else:
            with pytest.warns(UserWarning, match="plot_ppc_pava"):  # which is for two outcomes
                drawn = arviz.plot_ppc_dist(
                    whole, group=f"{group}_predictive", backend="matplotlib"
                )
            assert drawn.viz["figure"].item().axes[0].has_data()
    np.random.set_state(state)  # noqa: NPY002
    pyplot.close("all")


def test_the_groups_are_written_and_read_again(tmp_path: Path) -> None:
    whole = made_posterior(made_comparisons(covariates=True)).to_idata(prior=10)
    path = tmp_path / "draws.nc"
    whole.to_netcdf(str(path))
    if HAS_INFERENCE_DATA:
        again = arviz.from_netcdf(str(path))
        assert groups_of(again) == groups_of(whole)
        np.testing.assert_array_equal(again["prior"]["mu"], whole["prior"]["mu"])
