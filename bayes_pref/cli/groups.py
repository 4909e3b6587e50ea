"""The groups of options that subcommands share."""

from __future__ import annotations

import click

from bayes_pref.cli.option_groups import Group

READERS = {
    "frame": "Comparisons.from_frame",
    "items": "Comparisons.from_items",
    "tasks": "Comparisons.from_tasks",
    "wide": "Comparisons.from_wide",
    "rankings": "Comparisons.from_rankings",
    "text": "text.comparisons",
}
MODELS = (
    "HierarchicalReward",
    "PooledReward",
    "LowRankReward",
    "MixtureReward",
    "SharedCauseReward",
    "RepresentationReward",
)
ENGINES = ("Gibbs", "NUTS", "SVI")

DATA = Group(
    "data",
    "Columns of FILE",
    READERS,
    # What FILE itself is, and what no command line can hold.
    leave_out=frozenset(
        {"frame", "votes", "records", "train", "embeddings", "progress", "text.features"}
    ),
    switch="from",
    key="from",
    default="frame",
    switch_help="What a row is, as in Comparisons.from_frame: a pair of sides (frame), two items "
    "by their ids (items), an alternative of a task (tasks), a task (wide), an item in a ranking "
    "(rankings), or a vote on texts (text)",
    texts={
        "user": "Column of the users' labels",
        "choice": "Column of the choices: 1 = left was preferred, 0 = right, 0.5 = a tie; of "
        "tasks, 1 in the row that was chosen, or the label of the alternative chosen",
        "left": "Columns of the left side, instead of --difference; of items and texts, its column",
        "right": "The same columns of the right side, in the same order",
        "winner": "Column of the item that won, instead of --left, --right and --choice; of texts, "
        "of the side that won",
        "loser": "Column of the item that lost",
        "context": "Columns that are the same for both sides, such as traits of the prompt",
        "interactions": "Products of features and contexts to add as features: all, or pairs",
        "covariates": "Another table with one row a user: a column named as --user, others numbers "
        "or words",
        "items": "Another table with one row an item, and a column item of ids; of tasks, the "
        "column of items that have a reward each",
        "sides": "toss: the winner is written first, so which side is left is drawn anew",
        "seed": "Random seed",
        "attributes": "Columns of the attributes; of items, those shown on this occasion, as in "
        "length=length_a,length_b",
        "alternatives": "Labels of the alternatives, as they stand in the column --choice",
        "task": "Column of the tasks' ids",
        "ranking": "Column of the rankings' ids",
        "item": "Column of the items' ids",
        "rank": "Column of the ranks",
        "best": "Column of the best, instead of --choice",
        "worst": "Column of the worst",
        "prompt": "Field of the prompts",
        "chosen": "Field of the responses that were chosen",
        "rejected": "Field of the responses that were rejected",
        "components": "Number of principal components of the responses",
        "prompt_components": "Number of principal components of the prompts, as contexts",
        "encoder": "Folder or name of a sentence-transformers model",
        "surface": "Interpretable features: true, false, or some of length, lists, hedges, "
        "questions, positive, negative, code, reading_ease",
        "levels": "Graded answers: their number, or their labels from right to left",
        "coding": "How columns of words become features: effect, reference or steps, for all or by "
        "name, as in brand=reference",
        "baseline": "The level without a feature of its own, as in brand=none",
        "order": "The levels in order, as in size=S,M,L",
        "transform": "Numbers to enter on another scale, as in price=log: log or standardise",
        "none": 'The label of the outside option ("none of these"); or true, if it has no rows',
    },
)
MODEL = Group(
    "model",
    "Model",
    {name: name for name in MODELS},
    # The data decide which it is; link, lapse, position and ties are its settings.
    leave_out=frozenset({"choice"}),
    switch="model",
    default="HierarchicalReward",
    switch_help="How users differ",
    texts={
        "link": "How rewards become choices: logit or probit",
        "lapse": "Whether some answers are random",
        "position": "Whether the left side has an advantage",
        "ties": "Whether there are ties (default: where the data have any)",
        "reliability": "Whether some users answer at random",
        "exposure": "Whether weights depend on what a user is shown: true, false or flexible",
        "constraints": "Signs of weights and order of levels, as in price=negative",
        "size": "Number of learned features",
        "hidden": "Number of the network's hidden units",
        "components": "Number of components",
        "rank": "Number of factors",
    },
)
ENGINE = Group(
    "engine",
    "Engine",
    {name: name for name in ENGINES},
    leave_out=frozenset({"progress"}),
    switch="engine",
    switch_help="How to draw (default: the first of these that can draw from the model; Gibbs "
    "then goes on until its draws have converged, unless one of its settings is given)",
)
FIT = Group(
    "fit",
    "Fit",
    {"fit": "fit"},
    leave_out=frozenset({"model", "comparisons", "engine"}),
    texts={"start": "An earlier fit of these data, whose last draws are where the chains start"},
)
DIAGNOSE = Group(
    "diagnose",
    "Diagnosis",
    {"diagnose": "diagnose"},
    leave_out=frozenset(
        {"posterior", "comparisons", "prompts", "thresholds", "progress", "engine", "graph"}
    ),
    texts={
        "seed": "Random seed",
        "verdicts": "The verdicts that can be given, in order of precedence",
    },
)
THRESHOLDS = Group("thresholds", "Thresholds of the verdicts", {"Thresholds": "Thresholds"})
EVALUATE = Group(
    "evaluate",
    "Held-out scores",
    {"evaluate": "evaluate"},
    leave_out=frozenset({"posterior", "held_out"}),
)
LOO = Group(
    "loo",
    "Leaving out",
    {"loo": "loo"},
    leave_out=frozenset({"posterior"}),
    texts={"by": "comparison, task or user: what is left out at a time"},
)
PREDICT = Group(
    "predict",
    "Prediction",
    {"predict": "Posterior.predict"},
    leave_out=frozenset({"frame"}),
    texts={
        "new_users": "Rows of users who were not fitted: refuse them, or predict them for the "
        "population"
    },
)
RECOMMEND = Group(
    "recommend",
    "Questions",
    {"recommend": "recommend"},
    leave_out=frozenset({"source", "candidates"}),
    texts={
        "goal": "What to learn about: flagged comparisons (which are diagnosed first), users, "
        "population, or a contrast such as length=1 (default: users)",
        "users": "Users who can be asked (default: all); new: new users only",
        "cost": "Column of CANDIDATES with the cost of each question",
    },
)
AUDIT = Group("audit", "Audit", {"audit": "audit"}, leave_out=frozenset({"comparisons", "graph"}))
SIMULATE = Group(
    "simulate",
    "World",
    {"simulate": "simulate"},
    texts={
        "features": "How many features, or their names",
        "contexts": "How many contexts, or their names",
        "covariates": "How many covariates of users, or their names",
        "ties": "Expected share of ties",
        "lapses": "Expected share of answers made by tossing a coin",
        "factors": "Number of directions along which users differ in addition",
        "factor_sd": "Standard deviation of users along each of these",
        "none": "Whether a task has an outside option, too",
    },
)

FORMATS = ("csv", "tsv", "jsonl", "parquet", "xlsx")

format_option = click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    help="Format of FILE where its name does not tell (default: by its name; of -, csv)",
)
