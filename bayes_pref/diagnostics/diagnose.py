"""`diagnose`: from a posterior to a verdict on each comparison.

The questions are those of Kobalczyk & van der Schaar (2025, arXiv 2506.05967): is who was shown a
pair unrelated to what they answer (unconfoundedness), could everyone have been shown it (overlap),
and do the pairs separate what they differ in (latent positivity)?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import eigh

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.table import FloatArray, listed
from bayes_pref.diagnostics.confounding import assess_confounding as confounding
from bayes_pref.diagnostics.identifiability import assess_identifiability as identifiability
from bayes_pref.diagnostics.overlap import assess_overlap as overlap
from bayes_pref.diagnostics.overlap.prompts import Described, Prompts, read_described
from bayes_pref.diagnostics.preference import describe_differences, learned_shares
from bayes_pref.diagnostics.query import Candidates, Pairs, read_pairs
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.verdicts import MEANINGS, Grounds, decide, sentences
from bayes_pref.errors import DataError, ModelError
from bayes_pref.models.regressors import mean_contexts
from bayes_pref.posterior import Posterior

COLUMNS = [
    *("row", "user", "mean", "sd", "lower", "upper"),
    *("p_do", "p_obs", "shift", "shift_lower", "shift_upper", "p_confounded"),
    *("prior_share", "reference_sd", "borrowed", "overlap", "verdict", "sentence"),
]
_UNNAMED = "The data say next to nothing of what differs here"
_SHIFT = ["p_do", "p_obs", "shift", "shift_lower", "shift_upper", "p_confounded"]


def diagnose(
    posterior: Posterior,
    comparisons: Candidates = None,
    *,
    prompts: Prompts | None = None,
    threshold: float = 0.03,
    interval: float = 0.9,
    seed: int = 0,
    progress: bool = True,
) -> Report:
    """Give a verdict on each comparison: what its answer can tell, and why not where it cannot.

    Confounding is assessed with a fit in which users' weights may go along with the contexts that
    they are shown. Where the posterior is no such fit and there are contexts, one is made here;
    it is kept as `Report.exposure_posterior`.

    Parameters
    ----------
    posterior
        From `bayes_pref.fit`.
    comparisons
        None: those that were fitted. Others, judged or not, may be given as `Comparisons` or as a
        table with the attributes' differences (left minus right), the contexts and the user column
        of the fitted ones; users who were never asked, or no user column at all, are answered for
        as new users.
    prompts
        What describes the prompts for the overlap, such as their whole embeddings, instead of the
        contexts: numbers, one row a fitted comparison in the order of `posterior.comparisons.rows`,
        or a frame indexed by these labels. With `comparisons` a pair of them: for those that were
        fitted, and for these.
    threshold
        Smallest shift in the probability of a choice that matters.
    interval
        Probability inside the intervals.
    seed
        Of the fit that may be made here, the bootstrap and the permutations.
    progress
        Whether to show the progress of that fit.

    Returns
    -------
    Report

    Raises
    ------
    DataError
        If `comparisons` lack a column, or hold what is not a number, or `prompts` do not fit them.
    ModelError
        If that is no posterior, `threshold` is not between 0 and 1, or rewards are not in log-odds
        of a choice: the probit link, graded answers and rankings are refused. With ties or a lapse
        rate, all but confounding is assessed.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=30, confounding=0.6, seed=0)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> report = bp.diagnose(posterior, progress=False)
    >>> report.comparisons[["user", "verdict"]].shape
    (450, 2)
    """
    if not isinstance(posterior, Posterior):
        raise ModelError(
            f"posterior: got {type(posterior).__name__} but expected a Posterior, "
            "as bp.fit returns it"
        )
    outcome = posterior.comparisons.outcome
    if not outcome.rowwise:
        raise ModelError(
            f"diagnose is for choices between two, and these are {outcome.name}; "
            "posterior.weights() and posterior.preference() answer for them"
        )
    threshold = settings.argument("threshold", threshold, settings.fraction, error=ModelError)
    interval = settings.interval(interval)
    _refuse_other_units(posterior)
    pairs = read_pairs(posterior, comparisons)
    described = _described(prompts, posterior, pairs, fitted=comparisons is None)
    notes: list[str] = []
    shifts = _shifts(posterior, pairs, threshold, interval, seed, progress, notes)
    learned = _learned(posterior, pairs, notes)
    shown = overlap.assess(posterior, pairs, described=described, seed=seed)
    if shown.note:
        notes.append(_sentence(shown.note))
    personal = "weights" in posterior.draws
    if not personal:
        notes.append(
            f"{type(posterior.model).__name__} gives everyone the same weights, so the verdicts "
            "prefers, indifferent and undecided, which are about a user, are refused; fit "
            "bp.HierarchicalReward() for them."
        )
    numbers = describe_differences(posterior, pairs, interval)
    numbers = pd.concat(
        [numbers, shifts.frame, learned.frame[["prior_share", "reference_sd"]]], axis=1
    )
    numbers["borrowed"] = overlap.borrowed(posterior, pairs)
    numbers["overlap"] = shown.comparisons["overlap"].to_numpy()
    grounds = Grounds(
        numbers=numbers,
        unidentifiable=learned.frame["unidentifiable"].to_numpy(dtype=bool),
        confounded=shifts.flagged,
        separated=learned.frame["separated"].to_numpy(dtype=bool),
        unlearned=learned.unlearned,
        agreed=learned.agreed,
        personal=personal,
        new=pairs.user < 0,
    )
    verdict = decide(grounds)
    frame = numbers.assign(row=pairs.rows, user=pairs.labels, verdict=verdict)
    frame["sentence"] = sentences(grounds, verdict, interval)
    adjusted = [] if shifts.carried is None else ["shift_unadjusted"]
    return Report(
        comparisons=frame[[*COLUMNS, *adjusted]],
        directions=learned.directions,
        users=_users(posterior, pairs, frame),
        notes=tuple(notes),
        coupling=shifts.coupling,
        permutation_p=shifts.permutation_p,
        exposure_posterior=shifts.exposure_posterior,
        spectrum=learned.spectrum,
        exposure=_exposure(posterior, pairs, frame["overlap"]),
        threshold=threshold,
        interval=interval,
    )


def _described(
    prompts: Prompts | None, posterior: Posterior, pairs: Pairs, *, fitted: bool
) -> Described | None:
    """Refuse prompts that do not fit, before anything is computed."""
    if prompts is None:
        return None
    if fitted and isinstance(prompts, tuple):
        raise DataError("prompts: got several arrays, but expected one, of the fitted comparisons")
    both = (prompts, prompts) if fitted else prompts
    # Anything but two arrays is refused here.
    return read_described(both, posterior.comparisons, pairs)  # type: ignore[arg-type]


def _refuse_other_units(posterior: Posterior) -> None:
    """Refuse rewards for which the thresholds of the verdicts, in log-odds, mean nothing."""
    choice_model = posterior.model.choice_model(posterior.comparisons)
    if choice_model.log_odds:
        return
    raise ModelError(
        "diagnose judges choices between two in log-odds, and here is "
        f"{choice_model.beyond_logistic}; fit bp.{type(posterior.model).__name__}() with "
        "choice=bp.Logit() to choices of left or right"
    )


@dataclass(frozen=True, eq=False)
class _Shifts:
    """What was found of confounding."""

    frame: pd.DataFrame
    flagged: NDArray[np.bool_]
    coupling: pd.DataFrame
    carried: float | None = None
    permutation_p: float | None = None
    exposure_posterior: Posterior | None = None


def _shifts(
    posterior: Posterior,
    pairs: Pairs,
    threshold: float,
    interval: float,
    seed: int,
    progress: bool,
    notes: list[str],
) -> _Shifts:
    """Assess confounding where that can be done; say in the notes why not, or with what."""
    reason = confounding.unsupported(posterior.comparisons, posterior.model)
    if reason is not None:
        notes.append(_sentence(reason))
        nothing = pd.DataFrame(np.nan, index=range(len(pairs)), columns=_SHIFT)
        columns = ["feature", "context", "mean", "sd", "lower", "upper"]
        return _Shifts(nothing, np.zeros(len(pairs), dtype=bool), pd.DataFrame(columns=columns))
    exposure_posterior = confounding.refit_with_exposure(posterior, seed=seed, progress=progress)
    if exposure_posterior is not posterior:
        notes.append(
            f"Confounding was assessed with a fit of {type(exposure_posterior.model).__name__}(exposure=True) "
            f"that was made for it, since the posterior given {_lacks(posterior)}; it is kept as "
            "Report.exposure_posterior."
        )
        notes += [f"In that fit: {finding.message}" for finding in exposure_posterior.findings]
    found = confounding.assess(
        exposure_posterior, pairs, threshold=threshold, interval=interval, seed=seed
    )
    notes += found.notes
    if found.carried is not None:
        after, before = (
            float(found.comparisons[name].abs().mean()) for name in ("shift", "shift_unadjusted")
        )
        notes.append(
            f"Covariates ({', '.join(exposure_posterior.comparisons.covariate_names)}) carry "
            f"{100 * found.carried:.0f} % of the coupling of preferences to what users are shown: "
            f"the shift of a comparison is {before:.3f} on average before adjusting for them, and "
            f"{after:.3f} after (column shift_unadjusted against shift, absolute values)."
        )
    return _Shifts(
        found.comparisons,
        found.flagged,
        found.coupling,
        found.carried,
        found.permutation_p,
        exposure_posterior,
    )


@dataclass(frozen=True, eq=False)
class _Learned:
    """What was found of identifiability, and the words for it."""

    frame: pd.DataFrame
    unlearned: NDArray[np.object_]
    agreed: str
    directions: pd.DataFrame
    spectrum: FloatArray


def _learned(posterior: Posterior, pairs: Pairs, notes: list[str]) -> _Learned:
    """Assess identifiability where that can be done; say in the notes why not."""
    reason = identifiability.unsupported(posterior)
    if reason is not None:
        notes.append(
            f"The verdicts unidentifiable and separated are refused: {reason}. Without them, what "
            "the prior alone decides may pass for learned."
        )
        nothing = pd.DataFrame(
            {"prior_share": np.nan, "reference_sd": np.nan}, index=range(len(pairs))
        )
        nothing = nothing.assign(unidentifiable=False, separated=False)
        columns = ["direction", "feature", "loading", "prior_share", "sd", "reason"]
        empty = pd.DataFrame(columns=columns)
        return _Learned(nothing, np.full(len(pairs), ""), "", empty, np.empty(0))
    found = identifiability.assess(posterior, pairs)
    reasons = found.directions.drop_duplicates("direction").set_index("direction")["reason"]
    reasons = reasons.str[0].str.upper() + reasons.str[1:]
    spoken = reasons.reindex(found.comparisons["direction"]).fillna(_UNNAMED).to_numpy()
    return _Learned(
        found.comparisons,
        np.asarray(spoken, dtype=object),
        listed(found.separated_by),
        found.directions,
        found.spectrum,
    )


def _users(posterior: Posterior, pairs: Pairs, frame: pd.DataFrame) -> pd.DataFrame:
    """Per user: what was learned, what is borrowed, and how often each verdict was given."""
    by_user = frame.groupby("user", sort=False)
    users = by_user[["borrowed", "overlap"]].mean()
    users.insert(0, "comparisons", by_user.size())
    code = pd.Series(pairs.user).groupby(pairs.labels, sort=False).first().loc[users.index]
    learned = np.append(learned_shares(posterior), 0.0)  # the last is that of new users
    users.insert(1, "learned", learned[code.to_numpy()])
    counts = pd.crosstab(frame["user"], frame["verdict"]).reindex(users.index)
    given = [name for name in MEANINGS if name in counts]
    return users.join(counts[given]).rename_axis("user").reset_index()


def _exposure(posterior: Posterior, pairs: Pairs, shown: pd.Series[float]) -> pd.DataFrame:
    """One number for each pair's context: along the direction in which users differ most."""
    names = posterior.comparisons.features.contexts
    if not names:
        return pd.DataFrame({"user": pairs.labels, "context": np.nan, "overlap": shown})
    title = names[0] if len(names) == 1 else "leading combination of contexts"
    along = pairs.context @ _leading(posterior.comparisons)
    return pd.DataFrame({"user": pairs.labels, title: along, "overlap": shown})


def _leading(comparisons: Comparisons) -> FloatArray:
    """Direction (q,) of the contexts with most variance between users for that within them."""
    context = comparisons.context
    if context.shape[1] == 1:
        return np.ones(1)
    own = mean_contexts(comparisons)
    within = np.cov((context - own[comparisons.user]).T)
    # A little of every direction: a context that never varies within users has no variance there.
    within += 1e-6 * np.trace(np.cov(context.T)) / len(within) * np.eye(len(within))
    return np.asarray(eigh(np.cov(own.T), within)[1][:, -1])


def _lacks(posterior: Posterior) -> str:
    """Say why confounding cannot be assessed with this posterior itself."""
    if "G" in posterior.draws:
        return "comes from a mean-field guide, whose intervals are too narrow"
    return "has no exposure term"


def _sentence(text: str) -> str:
    """Begin with a capital, and end with a full stop."""
    return f"{text[0].upper()}{text[1:].removesuffix('.')}."
