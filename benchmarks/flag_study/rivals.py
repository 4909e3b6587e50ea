"""What people do today about the same questions, from pooled logits to a Hausman test.

- **pooled logit**: one weight vector for everyone on the features d, as reward models are trained.
- **pooled x context**: the same with d-by-x; "the context matters" is a Wald test of d-by-x.
- **hierarchical**: users differ, but independently of what they are shown; it has no test.
- **Hausman**: Hausman's (1978, Econometrica 46) question is whether estimates within users agree
  with those between them. With few choices a user, fixed effects in a logit are inconsistent; the
  test is therefore made in Mundlak's (1978, Econometrica 46) form, to which it is equivalent in
  the linear model, and made robust (Arellano 1993, J. Econometrics 59): in a pooled logit on d,
  d-by-x and d-by-z, where z_i is the mean of user i's contexts, a Wald test of d-by-z.

Standard errors are robust to correlation within users (Liang & Zeger 1986, Biometrika 73). The
logits are a dozen lines of Newton's method here rather than a dependency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import expit

import bayes_pref as bp
from bayes_pref.logistic_normal import expected_choice
from flag_study.truth import Array

MATERIAL = 0.03  # shift from which on a comparison counts as confounded, as in the flags
CERTAIN = 0.95  # probability of that from which on a comparison is flagged
LEVEL = 0.01  # of the tests that ask whether anything in a data set is confounded
_STEPS, _RIDGE = 50, 1e-6  # a ridge too weak to see keeps small data sets finite if separated
_DRAWS = 400


@dataclass(frozen=True)
class Logit:
    """A pooled logit.

    Attributes
    ----------
    weights
        (k,) log-odds per unit.
    covariance
        (k, k) of the weights, robust to correlation within users.
    """

    weights: Array
    covariance: Array

    @classmethod
    def fit(cls, design: Array, choice: Array, user: Array) -> Logit:
        """Maximise the likelihood by Newton's method.

        Parameters
        ----------
        design
            (n, k)
        choice
            (n,) 1 left, 0 right.
        user
            (n,) codes from 0.
        """
        weights = np.zeros(design.shape[1])
        for _ in range(_STEPS):
            p = expit(design @ weights)
            information = (design * (p * (1 - p))[:, None]).T @ design
            information += _RIDGE * np.eye(len(weights))
            step = np.linalg.solve(information, design.T @ (choice - p) - _RIDGE * weights)
            # At most 2 log-odds a step, so that it cannot leap to where all probabilities are 0.
            weights = weights + step * min(1.0, 2.0 / max(np.abs(design @ step).max(), 1e-300))
            if np.abs(step).max() < 1e-9:
                break
        scores = design * (choice - expit(design @ weights))[:, None]
        users = int(user.max()) + 1
        sums = np.zeros((users, len(weights)))
        np.add.at(sums, user, scores)
        bread = np.linalg.inv(information)
        return cls(weights, bread @ (sums.T @ sums) @ bread * users / (users - 1))

    def wald(self, columns: slice) -> float:
        """Return the p-value of the hypothesis that these weights are all 0."""
        tested, covariance = self.weights[columns], self.covariance[columns, columns]
        statistic = tested @ np.linalg.solve(covariance, tested)
        return float(stats.chi2.sf(statistic, len(tested)))


@dataclass(frozen=True)
class Answer:
    """What one method says of a data set; None where it has nothing to say.

    Attributes
    ----------
    p_do
        (n,) share of all users who prefer left.
    p_value
        Of "nothing is confounded".
    p_confounded
        (n,) probability that the shift exceeds the threshold.
    context_effect
        (k,) effect of the context on the attributes' weights.
    flagged
        (n,) verdicts, where more than the probability decides.
    shift
        Lower bound, mean and upper bound of delta, (n,) each.
    p_do_sd
        (n,) posterior sd of `p_do`.
    """

    p_do: Array
    p_value: float | None = None
    p_confounded: Array | None = None
    context_effect: Array | None = None
    flagged: Array | None = None
    shift: tuple[Array, Array, Array] | None = None
    p_do_sd: Array | None = None


def answers(
    comparisons: bp.Comparisons, hierarchical: bp.Posterior, seed: int
) -> dict[str, Answer]:
    """Return what each method says, by its name.

    Parameters
    ----------
    comparisons
        With one context.
    hierarchical
        The fit without coupling.
    seed
        Of the draws from the pooled logit's normal approximation.
    """
    return {
        "pooled logit": pooled(comparisons),
        "pooled x context": pooled_by_context(comparisons, np.random.default_rng(seed)),
        "hierarchical": uncoupled(hierarchical),
        "Hausman": hausman(comparisons),
    }


def pooled(comparisons: bp.Comparisons) -> Answer:
    """One weight vector for everyone."""
    d = _attributes(comparisons)
    return Answer(expit(d @ Logit.fit(d, comparisons.choice, comparisons.user).weights))


def pooled_by_context(comparisons: bp.Comparisons, rng: np.random.Generator) -> Answer:
    """One weight vector for everyone, which varies with the context.

    A comparison's shift is taken to be that between its context and the average one.
    """
    d, x = _attributes(comparisons), comparisons.context[:, :1]
    k = d.shape[1]
    fit = Logit.fit(np.hstack([d, d * x]), comparisons.choice, comparisons.user)
    weights = rng.multivariate_normal(fit.weights, fit.covariance, _DRAWS)
    average, slope = d @ (weights[:, :k] + x.mean() * weights[:, k:]).T, d @ weights[:, k:].T
    shift = expit(average + (x - x.mean()) * slope) - expit(average)
    return Answer(
        p_do=expit(d @ fit.weights[:k] + (d * x) @ fit.weights[k:]),
        p_value=fit.wald(slice(k, None)),
        p_confounded=(np.abs(shift) > MATERIAL).mean(axis=1),
        context_effect=fit.weights[k:],
    )


def uncoupled(posterior: bp.Posterior, draws: int = 200) -> Answer:
    """Users who differ independently of what they are shown.

    Parameters
    ----------
    posterior
        Of a `HierarchicalReward` with diagonal covariance and no covariates.
    draws
        Number of draws that are used.
    """
    flat = posterior.draws[["mu", "tau"]].stack(sample=("chain", "draw"))
    mu, tau = (flat[name].transpose("sample", "feature").to_numpy() for name in ("mu", "tau"))
    d = posterior.comparisons.difference
    kept = np.linspace(0, len(mu) - 1, min(draws, len(mu))).astype(int)
    p_do = np.zeros(len(d))
    for draw in kept:  # one at a time: all of them would need gigabytes
        p_do += expected_choice(d @ mu[draw], d**2 @ tau[draw] ** 2) / len(kept)
    k = len(posterior.comparisons.features.attributes)
    return Answer(p_do, context_effect=mu[:, k:].mean(axis=0) if mu.shape[1] > k else None)


def hausman(comparisons: bp.Comparisons) -> Answer:
    """Estimates within users against estimates between them, in Mundlak's form.

    Its p_do averages over the users' mean contexts, as the correction for them suggests.
    """
    d, x, user = _attributes(comparisons), comparisons.context[:, :1], comparisons.user
    k = d.shape[1]
    z = np.bincount(user, x[:, 0]) / np.bincount(user)
    design = np.hstack([d, d * x, d * z[user, None]])
    fit = Logit.fit(design, comparisons.choice, user)
    own = d @ fit.weights[:k] + (d * x) @ fit.weights[k : 2 * k]
    p_do = expit(own[:, None] + (d @ fit.weights[2 * k :])[:, None] * z).mean(axis=1)
    return Answer(
        p_do=p_do,
        p_value=fit.wald(slice(2 * k, None)),
        context_effect=fit.weights[k : 2 * k],
    )


def _attributes(comparisons: bp.Comparisons) -> Array:
    return comparisons.difference[:, : len(comparisons.features.attributes)]
