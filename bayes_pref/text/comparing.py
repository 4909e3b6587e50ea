"""Read votes on responses to prompts into `Comparisons`, with features of the texts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.features import TextSource
from bayes_pref.data.readers.row_weights import RowWeights
from bayes_pref.data.sides import TOSS, SidesOption, SidesReader
from bayes_pref.data.table import TableLike, column_names
from bayes_pref.errors import DataError, DataWarning
from bayes_pref.messages import listed
from bayes_pref.text.cache import EmbeddingCache
from bayes_pref.text.encoders import as_floats
from bayes_pref.text.records import Fields, Records, Votes, read_votes
from bayes_pref.text.surface import surface as surface_of
from bayes_pref.text.surface import surface_names
from bayes_pref.text.text_features import EncoderLike, Projection, TextFeatures, as_encoder
from bayes_pref.types import FloatArray, Mask

_PARTS = ("prompt", "left", "right")


def comparisons(
    records: Records,
    *,
    encoder: EncoderLike | None = None,
    user: str | None = None,
    prompt: str = "prompt",
    chosen: str = "chosen",
    rejected: str = "rejected",
    left: str | None = None,
    right: str | None = None,
    winner: str | None = None,
    surface: bool | Sequence[str] = True,
    components: int | None = 16,
    prompt_components: int = 0,
    context: Sequence[str] | None = None,
    interactions: Literal["all"] | Sequence[tuple[str, str]] | None = None,
    covariates: TableLike | None = None,
    train: ArrayLike | None = None,
    features: TextSource | None = None,
    embeddings: Mapping[str, ArrayLike] | None = None,
    cache: str | os.PathLike[str] | None = None,
    frequency: str | None = None,
    survey_weight: str | None = None,
    randomised: str | None = None,
    skip: bool = False,
    sides: SidesOption = "as shown",
    seed: int = 0,
    progress: bool = True,
) -> Comparisons:
    """Read votes on responses to prompts, and compute features of the texts.

    Parameters
    ----------
    records
        A JSON lines file (also ``.gz``), a table, or a list of dictionaries, one a vote. Prompts
        and responses are text, lists of messages, or whole conversations (HH-RLHF) whose shared
        beginning is the prompt.
    encoder
        A callable from n texts to an array (n, d); a local sentence-transformers folder, which
        is read without the network; or the name of a model. None: interpretable features only.
    user
        Field of the users' labels; None: all votes are of one user, ``"everyone"``.
    prompt, chosen, rejected
        Fields. A hash of seed, prompt and response decides the side of the chosen response,
        independently of who won. If it were always left, every choice would be 1.
    left, right, winner
        Instead of `chosen` and `rejected`: both responses, which keep their sides, and the winner:
        ``"left"``, ``"right"``, ``"tie"``, a field's name, ``"a"``, ``"model_b"``, or 1, 0, 0.5.
    surface
        Interpretable features: True for all that differ in some pair, False for none, or a list
        of names among length, lists, hedges, questions, positive, negative, code, reading_ease.
    components, prompt_components
        Number of principal components of responses (features) and of prompts (contexts).
        ``components=None`` keeps the whole embedding.
    context, interactions, covariates
        As for `Comparisons.from_frame`; contexts are the prompt's components (``prompt_1``, ...)
        and the fields named here.
    train
        (n,) mask of the records on which components are fitted; None: all records.
    features
        The `text` of other comparisons, whose fitted features are applied to these.
    embeddings
        Embeddings computed before, (n, d) each, by ``"prompt"`` and the names of the fields of
        both sides.
    cache
        Folder in which embeddings are kept between runs.
    frequency, survey_weight, randomised
        Fields, as the columns of `Comparisons.from_frame`.
    skip
        Whether to leave out records without two different responses, with a warning, instead of
        raising an error.
    sides
        With `left` and `right`: "as shown", they keep their sides; "toss", they do not, as with
        `chosen` and `rejected`.
    seed
        Random seed of the toss.
    progress
        Whether to show a progress bar during a long encoding.

    Returns
    -------
    comparisons: its `text` applies the same features to other texts

    Raises
    ------
    DataError
        If a record or an argument cannot be used as given; names the line, row or record.

    Warns
    -----
    DataWarning
        As `Comparisons.from_frame`, and for records left out.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> votes = [
    ...     {"who": "ann", "prompt": "Hi", "chosen": "Hello there, Ann.", "rejected": "Hm."},
    ...     {"who": "ann", "prompt": "Why?", "chosen": "Because.", "rejected": "Maybe. Why not?"},
    ... ]
    >>> read = bp.text.comparisons(votes, user="who", surface=["length", "questions"])
    >>> read.feature_names, read.text.frame(["Hi"], ["Well?"]).round(2).values.tolist()
    (('length', 'questions'), [[0.69, 0.69]])
    """
    settings.argument("components", components, settings.optional(settings.whole(0)))
    settings.argument("prompt_components", prompt_components, settings.whole(0))
    seed = SidesReader(sides, seed).seed
    fields = _fields(prompt, chosen, rejected, left, right, winner)
    tossed = sides == TOSS or fields.winner is None
    votes = read_votes(records, fields, seed=seed, skip=skip, toss=tossed)
    known = _known(embeddings, fields, votes)
    source = None if encoder is None else as_encoder(encoder)
    if features is None:
        features = _fit(
            votes,
            known,
            _mask(train, votes),
            TextFeatures(
                _surface(surface, votes),
                whole=components is None,
                encoder=source,
                cache=EmbeddingCache(cache),
            ),
            (components, prompt_components),
            progress=progress,
        )
    elif source is not None:
        features = features.with_encoder(source, cache)
    with warnings.catch_warnings():
        if tossed:  # a pair is on the same sides for all users, who may agree
            warnings.filterwarnings("ignore", ".*sides='toss'", DataWarning)
        read = _assemble(
            votes,
            known,
            features,
            user,
            column_names(context),
            RowWeights(frequency, survey_weight, randomised),
            interactions,
            covariates,
            progress,
        )
    return replace(read, sides=TOSS) if tossed else read


def _fields(
    prompt: str, chosen: str, rejected: str, left: str | None, right: str | None, winner: str | None
) -> Fields:
    if left is None and right is None and winner is None:
        return Fields(prompt, chosen, rejected, None)
    if left is None or right is None or winner is None:
        raise DataError("give left=, right= and winner= together, or none of them")
    return Fields(prompt, left, right, winner)


def _known(
    embeddings: Mapping[str, ArrayLike] | None, fields: Fields, votes: Votes
) -> dict[str, FloatArray]:
    """Embeddings of "prompt", "left" and "right" of the votes that came as arrays."""
    names = dict(zip((fields.prompt, fields.left, fields.right), _PARTS, strict=True))
    found: dict[str, FloatArray] = {}
    for name, values in (embeddings or {}).items():
        if name not in names:
            raise DataError(f"embeddings: unknown {name!r}; expected {listed(names)}")
        try:
            array = as_floats(values)
        except (TypeError, ValueError) as err:
            raise DataError(
                f"embeddings of {name!r} must be numbers, one row a record: {err}"
            ) from err
        if array.ndim != 2 or len(array) <= votes.rows.max():
            raise DataError(
                f"embeddings of {name!r} have shape {array.shape}; expected one row a record"
            )
        array = array[votes.rows]
        bad = ~np.isfinite(array).all(axis=1)
        if bad.any():
            raise DataError(
                f"embeddings of {name!r} hold NaN or infinity at {votes.where[int(bad.argmax())]}"
            )
        found[names[name]] = array
    if ("left" in found) != ("right" in found):
        raise DataError("embeddings of one response came without those of the other")
    if "left" in found:
        swap = votes.swapped[:, None]
        one, other = found["left"], found["right"]
        found |= {"left": np.where(swap, other, one), "right": np.where(swap, one, other)}
    return found


def _surface(asked: bool | Sequence[str], votes: Votes) -> tuple[str, ...]:
    """Names of the interpretable features; True leaves out those that differ in no pair."""
    names = surface_names(asked)
    if asked is not True:
        return names
    left, right = (surface_of(votes.frame[side].tolist(), names) for side in ("left", "right"))
    differs = (left != right).any(axis=0)
    return tuple(name for name, kept in zip(names, differs, strict=True) if kept)


def _mask(train: ArrayLike | None, votes: Votes) -> Mask:
    """Return which votes components are fitted on, from a mask of the records."""
    if train is None:
        return np.ones(len(votes.rows), dtype=bool)
    mask = np.asarray(train)
    if mask.dtype != np.bool_ or mask.ndim != 1 or len(mask) <= votes.rows.max():
        raise DataError("train must be a mask with True or False for each record")
    mask = mask[votes.rows]
    if not mask.any():
        raise DataError("train leaves no record to fit components on")
    return np.asarray(mask)


def _fit(
    votes: Votes,
    known: dict[str, FloatArray],
    train: Mask,
    bare: TextFeatures,
    components: tuple[int | None, int],
    *,
    progress: bool,
) -> TextFeatures:
    """Fit components to the training votes; embeddings join `known` on the way."""
    wanted = {"left", "right"} if components[0] != 0 else set()
    wanted |= {"prompt"} if components[1] else set()
    if bare.encoder is None and not known:
        if components[1]:
            raise DataError("prompt_components need an encoder=, or embeddings={'prompt': ...}")
        wanted = set()  # interpretable features alone
    missing = [part for part in _PARTS if part in wanted and part not in known]
    if missing:
        texts = [text for part in missing for text in votes.frame[part]]
        where = [f"the {_called(part)} in {place}" for part in missing for place in votes.where]
        split = np.split(bare.embed(texts, where, progress=progress), len(missing))
        known |= dict(zip(missing, split, strict=True))
    responses = prompts = None
    if "left" in wanted:
        both = np.vstack([known["left"][train], known["right"][train]])
        responses = Projection.fit(both, components[0], "responses")
    if "prompt" in wanted:
        prompts = Projection.fit(known["prompt"][train], components[1], "prompts")
    if not (bare.surface or responses):
        raise DataError("no features: give an encoder=, embeddings= or surface=")
    return replace(bare, responses=responses, prompts=prompts)


def _called(part: str) -> str:
    return "prompt" if part == "prompt" else f"{part} response"


def _assemble(
    votes: Votes,
    known: Mapping[str, FloatArray],
    features: TextSource,
    user: str | None,
    context: tuple[str, ...],
    weights: RowWeights,
    interactions: Literal["all"] | Sequence[tuple[str, str]] | None,
    covariates: TableLike | None,
    progress: bool,
) -> Comparisons:
    """Put votes, features of their texts and fields of their records into comparisons."""
    columns: dict[str, Any] = {}
    sides: dict[str, list[str]] = {}
    for side in ("left", "right"):
        where = [f"the {side} response in {place}" for place in votes.where]
        values = features.attributes(
            votes.frame[side].tolist(), known.get(side), where=where, progress=progress
        )
        sides[side] = [f"{side} {name}" for name in features.names]
        columns |= dict(zip(sides[side], values.T, strict=True))
    where = [f"the prompt in {place}" for place in votes.where]
    asked = features.contexts(
        votes.frame["prompt"].tolist(), known.get("prompt"), where=where, progress=progress
    )
    columns |= dict(zip(features.context_names, asked.T, strict=True))
    frame = pd.DataFrame(columns, index=votes.frame.index)
    if user is None and weights.survey_weight is not None:
        raise DataError("survey_weight= needs the users' labels", "name their field with user=")
    for name in filter(None, (user, *context, *weights.columns)):
        if name not in votes.records:
            raise DataError(f"no record has the field {name!r}")
        absent = votes.records[name].isna().to_numpy()
        if absent.any():
            raise DataError(f"{votes.where[int(absent.argmax())]} has no {name!r}")
        frame[name] = votes.records[name]
    label, choice = user or "user", "choice"
    if user is None:
        frame[label] = "everyone"
    while choice in frame:
        choice = f"_{choice}"
    frame[choice] = votes.frame["choice"]
    made = Comparisons.from_frame(
        frame,
        user=label,
        choice=choice,
        left=sides["left"],
        right=sides["right"],
        features=features.names,
        context=[*features.context_names, *context],
        interactions=interactions,
        covariates=covariates,
        frequency=weights.frequency,
        survey_weight=weights.survey_weight,
        randomised=weights.randomised,
    )
    return replace(made, text=features)
