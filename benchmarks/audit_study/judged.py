"""The audit of case study 2: people who write the prompts that they care about (HH-RLHF)."""

from __future__ import annotations

import pandas as pd

import bayes_pref as bp
from confounding_study import data, people

RHOS = (0.5, 0.8, 1.0)
EXPECTED = ("randomised", "confounded", "no overlap")


def comparisons(rho: float, seed: int, *, told: bool) -> bp.Comparisons:
    """Comparisons of 112 people at a rho.

    Parameters
    ----------
    rho
        Probability that a prompt is of the type that its user is after.
    seed
        Of the draw.
    told
        Whether the objectives (a covariate) and the prompts' types (a context) are recorded; else
        a direction of the prompts' embeddings is the context, and there is no covariate.
    """
    judged = data.load()
    drawn = people.draw(judged, rho, seed)
    if not told:
        return drawn.comparisons
    frame = drawn.comparisons.to_frame()
    types = judged.subset[drawn.row[frame.index.to_numpy()]]
    frame["harmful_prompt"] = (types == "harmless").astype(float)
    covariates = pd.DataFrame(
        {"objective": drawn.objective.astype(float)}, index=drawn.comparisons.users
    )
    return bp.Comparisons.from_frame(
        frame,
        user="user",
        choice="choice",
        difference=list(drawn.comparisons.feature_names),
        context=["harmful_prompt"],
        covariates=covariates,
    )


def said(found: bp.Audit) -> str:
    """Put an audit into one word, the most serious one."""
    if "positivity (overlap)" in found.failed:
        return "no overlap"
    if "unconfoundedness" in found.failed:
        return "confounded"
    return "randomised" if found.randomised else "users differ in what they are shown"
