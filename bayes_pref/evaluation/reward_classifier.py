"""`RewardClassifier`: a fit as a scikit-learn classifier, for its pipelines and cross-validation.

A row is a comparison, and its class is which side was chosen. The user of a row is a column of the
table, as scikit-learn passes nothing else along with rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from bayes_pref.data import Comparisons
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError
from bayes_pref.inference.engine import Engine
from bayes_pref.inference.fit import fit
from bayes_pref.messages import listed
from bayes_pref.models import HierarchicalReward, PooledReward, RewardModel
from bayes_pref.posterior.queries import is_table
from bayes_pref.types import FloatArray

_EVERYONE = "everyone"


class RewardClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predict which side of a comparison is chosen, each row for its own user.

    Rows are differences of features, left minus right. Users who are not among the fitted rows are
    predicted as new users of the population, so that it can be cross-validated by users
    (``GroupKFold``) as well as by rows. There is no intercept unless the model has a position bias.

    Parameters
    ----------
    user
        Column of the users; None: all rows are of one user, and X may be an array.
    model
        The model. None: `HierarchicalReward`, or without users `PooledReward`.
    engine
        How to draw; None: the best that the model allows.
    context, interactions
        As in `Comparisons.from_frame`: columns that both sides share, and their products with
        features. All other columns are features.
    seed
        Random seed.

    Attributes
    ----------
    posterior_
        The `Posterior`, with all that it can answer beside probabilities.
    classes_
        (2,) the classes: the second one is that left was chosen.
    n_features_in_, feature_names_in_
        Number of columns of X, and their names where it has any.

    Notes
    -----
    It passes scikit-learn's ``check_estimator``. There are two classes, and no sample weights.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from sklearn.model_selection import cross_val_score
    >>> world = bp.simulate(users=12, comparisons=20, features=2, contexts=0, mean=2.0, seed=0)
    >>> X, y = world.frame.drop(columns="choice"), world.frame["choice"]
    >>> classifier = bp.RewardClassifier(user="user", engine=bp.Gibbs(progress=False))
    >>> bool(cross_val_score(classifier, X, y, cv=2).mean() > 0.7)
    True
    """

    posterior_: Any
    classes_: NDArray[Any]

    def __init__(
        self,
        user: str | None = None,
        *,
        model: RewardModel | None = None,
        engine: Engine | None = None,
        context: Sequence[str] = (),
        interactions: Literal["all"] | Sequence[tuple[str, str]] | None = None,
        seed: int = 0,
    ) -> None:
        self.user = user
        self.model = model
        self.engine = engine
        self.context = context
        self.interactions = interactions
        self.seed = seed

    def fit(self, X: TableLike | ArrayLike, y: ArrayLike) -> Self:
        """Fit the model.

        Parameters
        ----------
        X
            (n, k) differences of features, with the column of users and contexts; a table, or an
            array where there is neither.
        y
            (n,) two classes, of which the second one in order is that left was chosen.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If a column is missing or cannot be used as it stands.
        ValueError
            If X or y is not what scikit-learn expects, as its own estimators say it.
        """
        frame = self._frame(X, reset=True)
        target = column_or_1d(y, warn=True)
        check_consistent_length(frame, target)
        kind = type_of_target(target, input_name="y", raise_unknown=True)
        if kind == "continuous":
            raise ValueError(f"Unknown label type: {kind}. y has numbers that are no classes")
        classes = unique_labels(target)
        if len(classes) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass."
            )
        if len(classes) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {classes[0]}")
        self.classes_ = classes
        choice = "choice"
        while choice in frame.columns:
            choice = f"_{choice}"
        beside = [self._user, *self.context]
        features = [name for name in frame.columns if name not in beside]
        if not features:
            raise DataError(f"X: beside {listed(beside)} there are no columns of features")
        comparisons = Comparisons.from_frame(
            frame.assign(**{choice: (target == classes[1]).astype(np.int64)}),
            user=self._user,
            choice=choice,
            difference=features,
            context=list(self.context) or None,
            interactions=self.interactions,
        )
        model = self.model
        if model is None:
            model = PooledReward() if self.user is None else HierarchicalReward()
        self.posterior_ = fit(model, comparisons, self.engine, seed=self.seed)
        return self

    def predict_proba(self, X: TableLike | ArrayLike) -> FloatArray:
        """(n, 2) probabilities of the classes, in the order of `classes_`.

        Parameters
        ----------
        X
            As for `fit`.
        """
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        left = self.posterior_.predict(frame, new_users="population")["mean"].to_numpy()
        return np.column_stack([1.0 - left, left])

    def predict(self, X: TableLike | ArrayLike) -> NDArray[Any]:
        """(n,) the more probable class of each row.

        Parameters
        ----------
        X
            As for `fit`.
        """
        likely = self.predict_proba(X).argmax(axis=1)
        found: NDArray[Any] = np.asarray(self.classes_)[likely]
        return found

    @property
    def _user(self) -> str:
        return _EVERYONE if self.user is None else self.user

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Read X as a table with a column of users."""
        table = is_table(X)
        values = validate_data(self, X, reset=reset, skip_check_array=table)
        if not table:
            frame = pd.DataFrame(values, columns=[f"x{k}" for k in range(values.shape[1])])
        else:
            frame = Table.read(X, "X").frame
        if self.user is None:
            return frame.assign(**{_EVERYONE: _EVERYONE})
        if not table:
            raise DataError(f"X: an array has no column {self.user!r} of users", "give a table")
        return frame

    def __sklearn_tags__(self) -> Any:
        """Say that there are two classes."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
