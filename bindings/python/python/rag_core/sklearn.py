"""An estimator for scikit-learn. Needs ``scikit-learn``: ``pip install 'rag-core[sklearn]'``.

>>> import numpy as np
>>> from rag_core.sklearn import LambdaMARTRanker
>>> X = np.arange(60.0).reshape(30, 2) % 7
>>> y = (X[:, 0] > 3).astype(int)
>>> ranker = LambdaMARTRanker(num_trees=10, min_data_in_leaf=2).fit(X, y, group=[10, 10, 10])
>>> better, worse = ranker.predict([[6.0, 0.0], [0.0, 0.0]])
>>> bool(better > worse)
True
>>> ranker.get_params()["num_trees"]
10
>>> ranker.ranker_
Ranker(num_trees=10, num_features=2)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rag_core import FeatureSchema, Ranker
from rag_core.errors import InvalidArgument

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("rag_core.sklearn needs scikit-learn: pip install 'rag-core[sklearn]'") from error

__all__ = ["LambdaMARTRanker"]


class LambdaMARTRanker(BaseEstimator):  # type: ignore[misc]
    """Trees boosted for a ranking, as ``rag_core.Ranker.train`` makes them; the parameters are its own, with LightGBM's
    names. ``None`` leaves a parameter to its default there.

    Features are read as float32; NaN is a missing value. After ``fit``, ``ranker_`` is the ``rag_core.Ranker``, to be
    saved or given to ``Engine.set_ranker``.
    """

    def __init__(
        self,
        *,
        objective: str | None = None,
        num_trees: int | None = None,
        num_leaves: int | None = None,
        learning_rate: float | None = None,
        max_depth: int | None = None,
        grow_policy: str | None = None,
        min_data_in_leaf: int | None = None,
        min_sum_hessian_in_leaf: float | None = None,
        lambda_l1: float | None = None,
        lambda_l2: float | None = None,
        min_gain_to_split: float | None = None,
        max_bin: int | None = None,
        min_data_in_bin: int | None = None,
        bin_construct_sample_cnt: int | None = None,
        feature_fraction: float | None = None,
        feature_fraction_bynode: float | None = None,
        bagging_fraction: float | None = None,
        bagging_freq: int | None = None,
        bagging_by_query: bool | None = None,
        lambdarank_truncation_level: int | None = None,
        lambdarank_norm: bool | None = None,
        label_gain: list[float] | None = None,
        sigmoid: float | None = None,
        eval_at: list[int] | None = None,
        early_stopping_rounds: int | None = None,
        categorical_feature: list[int] | None = None,
        max_cat_to_onehot: int | None = None,
        max_cat_threshold: int | None = None,
        cat_smooth: float | None = None,
        cat_l2: float | None = None,
        min_data_per_group: int | None = None,
        use_missing: bool | None = None,
        zero_as_missing: bool | None = None,
        monotone_constraints: list[int] | None = None,
        seed: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.objective = objective
        self.num_trees = num_trees
        self.num_leaves = num_leaves
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.grow_policy = grow_policy
        self.min_data_in_leaf = min_data_in_leaf
        self.min_sum_hessian_in_leaf = min_sum_hessian_in_leaf
        self.lambda_l1 = lambda_l1
        self.lambda_l2 = lambda_l2
        self.min_gain_to_split = min_gain_to_split
        self.max_bin = max_bin
        self.min_data_in_bin = min_data_in_bin
        self.bin_construct_sample_cnt = bin_construct_sample_cnt
        self.feature_fraction = feature_fraction
        self.feature_fraction_bynode = feature_fraction_bynode
        self.bagging_fraction = bagging_fraction
        self.bagging_freq = bagging_freq
        self.bagging_by_query = bagging_by_query
        self.lambdarank_truncation_level = lambdarank_truncation_level
        self.lambdarank_norm = lambdarank_norm
        self.label_gain = label_gain
        self.sigmoid = sigmoid
        self.eval_at = eval_at
        self.early_stopping_rounds = early_stopping_rounds
        self.categorical_feature = categorical_feature
        self.max_cat_to_onehot = max_cat_to_onehot
        self.max_cat_threshold = max_cat_threshold
        self.cat_smooth = cat_smooth
        self.cat_l2 = cat_l2
        self.min_data_per_group = min_data_per_group
        self.use_missing = use_missing
        self.zero_as_missing = zero_as_missing
        self.monotone_constraints = monotone_constraints
        self.seed = seed
        self.threads = threads

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        group: npt.ArrayLike | None = None,
        *,
        qid: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        eval_set: tuple[npt.ArrayLike, ...] | None = None,
        schema: FeatureSchema | None = None,
    ) -> LambdaMARTRanker:
        """Trains.

        Args:
            X: Features, (n, d).
            y: n grades: whole numbers from 0 on, higher is better.
            group: How many rows each query has, in their order. Without it and qid all rows are of one query.
            qid: Instead of group, the query of each row, in any order.
            sample_weight: One for each row.
            eval_set: (X, y, group) to watch, and for early stopping.
            schema: What the columns are.
        """
        rows: Any
        rows, grades = validate_data(
            self, X, y, dtype=np.float32, ensure_all_finite="allow-nan", y_numeric=True, order="C"
        )
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, rows, dtype=np.float32, ensure_non_negative=True)
        if qid is not None:
            if group is not None:
                raise InvalidArgument("`group` and `qid` say the same; give one of them")
            queries = np.asarray(qid)
            if queries.shape != (len(rows),):
                raise InvalidArgument(f"`qid` has the shape {queries.shape} for {len(rows)} rows; give one a row")
            order = np.argsort(queries, kind="stable")
            _, group = np.unique(queries, return_counts=True)
            rows, grades = rows[order], grades[order]
            sample_weight = None if sample_weight is None else np.asarray(sample_weight)[order]
        given = {name: value for name, value in self.get_params(deep=False).items() if value is not None}
        names = getattr(self, "feature_names_in_", None)
        self.ranker_ = Ranker.train(
            rows,
            grades,
            [len(rows)] if group is None else group,
            weights=sample_weight,
            valid=eval_set,
            feature_names=None if names is None or schema is not None else [str(name) for name in names],
            schema=schema,
            **given,
        )
        return self

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The score of each row; within a query, higher is better."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float32, ensure_all_finite="allow-nan", reset=False, order="C")
        return self.ranker_.score(rows)

    @property
    def feature_importances_(self) -> npt.NDArray[np.float64]:
        """What the splits of each feature won in the training."""
        check_is_fitted(self)
        return self.ranker_.feature_importance("gain")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        return tags
