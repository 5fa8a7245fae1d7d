"""The estimator for scikit-learn."""

import pickle

import numpy as np
import pytest
import rag_core as rag

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from rag_core.sklearn import LambdaMARTRanker  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV, GroupKFold  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

SMALL = {"num_trees": 10, "min_data_in_leaf": 2}

#: A row of weight 2 is not two rows: bins and the least size of a leaf count rows, as LightGBM does.
EXPECTED = {"check_sample_weight_equivalence_on_dense_data": "bins and leaves count rows, whatever they weigh"}


@parametrize_with_checks(
    [LambdaMARTRanker(**SMALL), LambdaMARTRanker(objective="regression", **SMALL)],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((200, 4))
    return X, np.digitize(X[:, 0], [0.0, 1.0]), np.repeat(np.arange(20), 10)


def test_it_is_the_ranker_of_the_package():
    X, y, qid = data()
    ranker = LambdaMARTRanker(num_trees=20, seed=1).fit(X, y, group=[10] * 20)
    same = rag.Ranker.train(X, y, [10] * 20, num_trees=20, seed=1)
    assert ranker.ranker_ == same and (ranker.predict(X) == same.score(X)).all()
    assert (ranker.feature_importances_ == same.feature_importance()).all()
    assert (pickle.loads(pickle.dumps(ranker)).predict(X) == ranker.predict(X)).all()
    assert clone(ranker).get_params() == ranker.get_params() and not hasattr(clone(ranker), "ranker_")
    assert LambdaMARTRanker().set_params(num_leaves=7).num_leaves == 7
    assert LambdaMARTRanker().fit(X, y, qid=qid).ranker_ == rag.Ranker.train(X, y, [10] * 20)


def test_rows_of_a_query_may_stand_apart():
    X, y, qid = data()
    order = np.random.default_rng(5).permutation(len(X))
    order = order[np.argsort(qid[order] % 7, kind="stable")]
    weight = np.linspace(1, 2, len(X))
    apart = LambdaMARTRanker(**SMALL).fit(X[order], y[order], qid=qid[order], sample_weight=weight[order])
    stable = order[np.argsort(qid[order], kind="stable")]
    together = rag.Ranker.train(X[stable], y[stable], [10] * 20, weights=weight[stable], **SMALL)
    assert apart.ranker_ == together
    with pytest.raises(rag.InvalidArgument, match="`qid`"):
        LambdaMARTRanker().fit(X, y, group=[10] * 20, qid=qid)
    with pytest.raises(rag.InvalidArgument, match="`qid`"):
        LambdaMARTRanker().fit(X, y, qid=qid[:5])


def test_names_validation_and_pipelines():
    pandas = pytest.importorskip("pandas")
    X, y, qid = data()
    frame = pandas.DataFrame(X, columns=["bm25", "cosine", "length", "clicks"])
    ranker = LambdaMARTRanker(early_stopping_rounds=3, **SMALL)
    ranker.fit(frame, y, group=[10] * 20, eval_set=(X, y, [10] * 20))
    assert ranker.ranker_.feature_names == list(frame.columns)
    assert "valid ndcg@10" in ranker.ranker_.training["curves"]
    with pytest.raises(rag.InvalidArgument, match="num_trees"):
        LambdaMARTRanker(num_trees=0).fit(X, y)
    pipe = make_pipeline(StandardScaler(), LambdaMARTRanker(**SMALL))
    assert pipe.fit(X, y, lambdamartranker__qid=qid).predict(X).shape == (200,)

    def agreement(estimator, X, y):
        return np.corrcoef(estimator.predict(X), y)[0, 1]

    search = GridSearchCV(LambdaMARTRanker(**SMALL), {"num_leaves": [2, 8]}, scoring=agreement, cv=GroupKFold(4))
    search.fit(X, y, groups=qid)
    assert search.best_score_ > 0.5


def test_the_examples_of_the_module_run(run_examples):
    run_examples("rag_core.sklearn")
