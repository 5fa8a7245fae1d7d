"""Rankers, feature schemas, logs and functions."""

import copy
import inspect
import pickle
import threading

import numpy as np
import pytest
import rag_core as rag

DOCUMENTS = [
    {"id": "bakery", "title": "Opening hours", "text": "The bakery opens at six.", "metadata": {"stars": 4}},
    {"id": "bread", "text": "Rye bread keeps for a week; the bakery sells it.", "metadata": {"stars": 5}},
    {"id": "pass", "text": "Alpine passes close in winter.", "metadata": {"stars": 1}},
    {"id": "snow", "text": "Snow falls in winter."},
]
QUERIES = {"q1": "when does the bakery open", "q2": "winter passes", "q3": "rye bread"}
QRELS = {"q1": {"bakery": 2, "bread": 1}, "q2": {"pass": 2, "snow": 1}, "q3": {"bread": 2, "bakery": -1}}
SMALL = {"num_leaves": 4, "min_data_in_leaf": 2, "min_data_in_bin": 1}


def table(queries=40, documents=10, columns=5, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((queries * documents, columns), np.float32)
    y = np.digitize(X[:, 0] + 0.5 * X[:, 1] + 0.3 * rng.standard_normal(len(X)), [0.5, 1.5])
    X[rng.random(X.shape) < 0.05] = np.nan
    return X, y, [documents] * queries


@pytest.fixture
def engine(tmp_path):
    with rag.Engine.open(tmp_path / "data") as engine:
        engine.upsert(DOCUMENTS)
        engine.commit()
        yield engine


def test_a_trained_ranker_ranks_scores_and_explains():
    X, y, group = table()
    ranker = rag.Ranker.train(X, y, group, num_trees=30, seed=1)
    scores = ranker.score(X)
    assert scores.dtype == np.float64 and scores.shape == (400,) and (scores == ranker.margin(X)).all()
    run = {str(q): {str(d): scores[q * 10 + d] for d in range(10)} for q in range(40)}
    qrels = {str(q): {str(d): int(y[q * 10 + d]) for d in range(10)} for q in range(40)}
    curve = ranker.training["curves"]["train ndcg@10"]
    assert (
        rag.evaluate(qrels, run, ["ndcg_exp@10"])["ndcg_exp@10"] == pytest.approx(curve[-1], abs=1e-9)
        and curve[-1] > 0.9
    )
    contributions, expected = ranker.explain(X)
    assert contributions.shape == X.shape
    assert np.allclose(contributions.sum(1) + expected, scores, rtol=0, atol=1e-9)
    gain, split = ranker.feature_importance(), ranker.feature_importance("split")
    assert gain.argmax() == split.argmax() == 0 and split.sum() == split.astype(int).sum() > 0
    assert repr(ranker) == "Ranker(num_trees=30, num_features=5)"
    assert ranker == rag.Ranker.train(X, y, group, num_trees=30, seed=1, threads=2) != rag.Ranker.train(X, y, group)


def test_the_defaults_of_the_signature_are_those_of_rust():
    X, y, group = table()
    given = {"num_trees": 100, "num_leaves": 31, "learning_rate": 0.1, "seed": 0, "threads": 0}
    signature = inspect.signature(rag.Ranker.train)
    assert {name: signature.parameters[name].default for name in given} == given
    trained = rag.Ranker.train(X, y, group).training["parameters"]
    assert trained["num_trees"] == 100 and trained["lambdarank_truncation_level"] == 30 and trained["max_bin"] == 255


def test_numbers_come_in_many_forms():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    X, y, group = table()
    ranker = rag.Ranker.train(X, y, group, num_trees=5)
    scores = ranker.score(X)
    unaligned = np.frombuffer(b"x" + X.tobytes(), np.uint8)[1:].view(np.float32).reshape(X.shape)
    missing = [[None if np.isnan(cell) else float(cell) for cell in row] for row in X]
    forms = [
        X.astype(np.float64),
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        X.astype(">f4"),
        unaligned,
        missing,
        pandas.DataFrame(X),
        pandas.DataFrame(X).astype("Float64"),
        polars.DataFrame(X),
    ]
    for form in forms:
        assert (ranker.score(form) == scores).all(), type(form)
    again = rag.Ranker.train(missing, list(map(int, y)), np.array(group, np.int32), num_trees=5)
    assert again == ranker == rag.Ranker.train(X, pandas.Series(y), tuple(group), num_trees=5)
    for wrong in ([["a"]], np.zeros(3), np.zeros((1, 2, 3)), "text", None, [[1], [1, 2]]):
        with pytest.raises(rag.InvalidArgument, match="`X`"):
            ranker.score(wrong)
    for wrong in ([-1], [1.5], "5", [[5]]):
        with pytest.raises(rag.InvalidArgument, match="`group`"):
            rag.Ranker.train(X, y, wrong)
    with pytest.raises(rag.InvalidArgument, match="`valid`"):
        rag.Ranker.train(X, y, group, valid=(X,))
    with pytest.raises(rag.InvalidArgument, match="JSON"):
        rag.Ranker.train(X, y, group, sigmoid=float("nan"))
    assert ranker.score(np.empty((0, 5))).shape == (0,)


def test_files_and_pickles_keep_a_ranker_to_the_last_bit(tmp_path):
    X, y, group = table()
    schema = rag.FeatureSchema([f"f.{number}" for number in range(5)], version=4)
    ranker = rag.Ranker.train(X, y, group, num_trees=7, schema=schema, valid=(X, y, group), early_stopping_rounds=5)
    ranker.save(tmp_path / "ranker")
    assert rag.Ranker.load(tmp_path / "ranker") == pickle.loads(pickle.dumps(ranker)) == copy.deepcopy(ranker) == ranker
    assert ranker.schema == schema.id and ranker.feature_names == schema.names
    ranker.save(str(tmp_path / "ranker.txt"), format="lightgbm")
    foreign = rag.Ranker.load(tmp_path / "ranker.txt")
    assert (foreign.score(X) == ranker.score(X)).all() and foreign.training is foreign.schema is None
    lightgbm = pytest.importorskip("lightgbm")
    booster = lightgbm.Booster(model_file=tmp_path / "ranker.txt")
    assert np.allclose(booster.predict(X), ranker.score(X), rtol=0, atol=1e-12)


def test_a_schema_is_a_value():
    schema = rag.FeatureSchema(["bm25", "lang"], ["numeric", "categorical"], version=2)
    assert schema == pickle.loads(pickle.dumps(schema)) == copy.copy(schema) != rag.FeatureSchema(["bm25", "lang"])
    assert schema.id.startswith("v2:") and schema.hash.startswith(schema.id[3:]) and len(schema) == 2
    assert schema.to_dict()["kinds"] == ["numeric", "categorical"]
    meant = rag.FeatureSchema(schema.names, schema.kinds, 2, [None, "en, de"])
    assert meant == pickle.loads(pickle.dumps(meant)) != schema and meant.meanings == [None, "en, de"]
    X, y, group = table(columns=2)
    X[:, 1] = np.nan_to_num(np.abs(X[:, 1])).astype(int)
    ranker = rag.Ranker.train(X, y, group, num_trees=1, schema=schema)
    assert ranker.training["parameters"]["categorical_feature"] == [1]
    with pytest.raises(rag.SchemaMismatch, match="columns"):
        rag.Ranker.train(X[:, :1], y, group, schema=schema)


def test_progress_is_told_and_may_end_the_training():
    X, y, group = table()
    told = []
    ranker = rag.Ranker.train(X, y, group, num_trees=6, progress=lambda *step: told.append(step))
    assert [(done, total) for done, total, _ in told] == [(n, 6) for n in range(1, 7)]
    assert [metrics["train ndcg@10"] for *_, metrics in told] == ranker.training["curves"]["train ndcg@10"]
    assert rag.Ranker.train(X, y, group, progress=lambda done, *_: done < 3).num_trees == 3

    def fails(done, *_):
        raise LookupError(f"tree {done}")

    with pytest.raises(LookupError, match="tree 1"):
        rag.Ranker.train(X, y, group, progress=fails)
    result = []
    thread = threading.Thread(target=lambda: result.append(rag.Ranker.train(X, y, group, num_trees=2, progress=print)))
    thread.start()
    thread.join(60)
    assert result[0].num_trees == 2


def test_other_threads_run_while_a_ranker_is_trained():
    X, y, group = table(queries=400)
    seen, over = [], threading.Event()

    def train():
        rag.Ranker.train(X, y, group, num_trees=50, threads=1)
        over.set()

    thread = threading.Thread(target=train)
    thread.start()
    while not over.wait(0.002):
        seen.append(1)
    thread.join()
    assert len(seen) > 3


def test_an_engine_logs_what_a_ranker_learns_from_and_ranks_by_it(engine, tmp_path):
    log = engine.log_features(QUERIES, k=4)
    schema = engine.feature_schema()
    assert pickle.loads(pickle.dumps(log.schema)) == log.schema == schema
    assert log.names == schema.names and log.query_ids == list(QUERIES)
    assert log.X.shape == (sum(log.group), len(schema)) and log.X.dtype == np.float32 and log.X is log.X
    assert len(log.document_ids) == len(log) == 12 and not log.X.flags.writeable
    labels = log.labels(QRELS)
    grades = {(q, d): max(g, 0) for q, of in QRELS.items() for d, g in of.items()}
    ids = [q for q, size in zip(log.query_ids, log.group, strict=True) for _ in range(size)]
    assert labels.tolist() == [grades.get(pair, 0) for pair in zip(ids, log.document_ids, strict=True)]
    ranker = rag.Ranker.train(log.X, labels, log.group, schema=schema, num_trees=20, **SMALL)
    before = engine.search(QUERIES["q1"])
    engine.set_ranker(ranker)
    assert engine.ranker == ranker
    answer = engine.search(QUERIES["q1"], explain=True)
    assert not answer.degraded and {hit.id for hit in answer} == {hit.id for hit in before}
    start = log.query_ids.index("q1")
    rows = log.X[start * 4 : start * 4 + 4]
    margins = dict(zip(log.document_ids[start * 4 : start * 4 + 4], ranker.margin(rows), strict=True))
    for hit in answer:
        ltr = hit.explain.ltr
        assert ltr.score == margins[hit.id] and ltr.weight == 1 and hit.score == ltr.normalized
        assert sum(feature.contribution for feature in ltr.features) + ltr.expected == pytest.approx(
            ltr.score, abs=1e-9
        )
        assert [feature.name for feature in ltr.features] == schema.names
        assert any(feature.value is None for feature in ltr.features)
    assert pickle.loads(pickle.dumps(answer)) == answer
    assert "ltr=LtrExplanation(" in repr(answer[0].explain) and engine.stats().feature_cache_hits > 0
    engine.set_ranker(ranker, weight=0.0)
    assert engine.search(QUERIES["q1"])[0].id == before[0].id
    engine.set_ranker(None)
    assert engine.ranker is None and engine.search(QUERIES["q1"]) == before
    with pytest.raises(rag.SchemaMismatch, match="schema"):
        engine.set_ranker(rag.Ranker.train(*table()))
    log.to_svmlight(tmp_path / "log.svm", QRELS)
    datasets = pytest.importorskip("sklearn.datasets")
    X, y, qid = datasets.load_svmlight_file(tmp_path / "log.svm", n_features=len(schema), query_id=True)
    assert np.array_equal(X.toarray().astype(np.float32), log.X, equal_nan=True)
    assert (y == labels).all() and qid.tolist() == [1] * 4 + [2] * 4 + [3] * 4


def test_a_configuration_names_features_and_the_ranker(engine, tmp_path):
    engine.close()
    config = tmp_path / "rag.toml"
    features = '[engine.features]\ngroups = ["text"]\nnumeric = ["stars"]\nclicks = {}\n'
    config.write_text(features)
    with rag.Engine.open(tmp_path / "data", config=config) as engine:
        engine.set_click_history({"bakery": (10, 5), "pass": (4, 0)})
        with pytest.raises(rag.InvalidArgument, match="`rows`"):
            engine.set_click_history({"bakery": 3})
        with pytest.raises(rag.InvalidArgument, match="snow"):
            engine.set_click_history([("snow", 1, 2)])
        log = engine.log_features([("a", "bakery winter")], k=4)
        rows = dict(zip(log.document_ids, log.X, strict=True))
        column = log.names.index
        assert rows["bread"][column("number.stars")] == 5 and np.isnan(rows["snow"][column("number.stars")])
        assert rows["bakery"][column("clicks.impressions")] == 10 and np.isnan(rows["bread"][column("clicks.rate")])
        ranker = rag.Ranker.train_linear(log.X, [1, 2, 0, 1], schema=log.schema, l2=0.1)
        ranker.save(tmp_path / "ranker.json")
    config.write_text(features + '[engine.ltr]\nmodel = "ranker.json"\nweight = 0.5\n')
    with rag.Engine.open(tmp_path / "data", config=config) as engine:
        assert engine.ranker == ranker
        assert engine.search("bakery", explain=True)[0].explain.ltr.weight == 0.5


def test_functions_of_the_caller_compute_features(engine, tmp_path):
    engine.close()
    calls = []

    def stars(query, documents):
        calls.append((query, documents))
        return [document["metadata"].get("stars") for document in documents]

    def inside(query, documents):  # calls back into the package, from whichever thread the engine calls from
        vectors = rag.Embedder.load().encode([query] + [document["text"] for document in documents])
        return vectors[1:] @ vectors[0]

    functions = {"my.stars": stars, "my.cosine": inside}
    with rag.Engine.open(tmp_path / "data", feature_functions=functions) as engine:
        assert engine.feature_schema().names[-2:] == ["my.stars", "my.cosine"]
        log = engine.log_features(QUERIES, k=4)
        rows = dict(zip(log.document_ids, log.X, strict=True))
        assert rows["bread"][-2] == 5 and np.isnan(rows["snow"][-2]) and 0 < rows["bakery"][-1] <= 1
        query, documents = next(call for call in calls if call[0] == QUERIES["q2"])
        assert {document["id"]: document for document in documents}["bakery"] == DOCUMENTS[0]
        engine.set_ranker(
            rag.Ranker.train(log.X, log.labels(QRELS), log.group, num_trees=2, schema=log.schema, **SMALL)
        )
        answers = engine.search_many(list(QUERIES.values()) * 8)
        assert not any(answer.degraded for answer in answers)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda query, documents: 1 / 0, "ZeroDivisionError"),
        (lambda query, documents: [1.0], "1 values for 4 documents"),
        (lambda query, documents: ["x"] * len(documents), "TypeError"),
        (lambda query: [], "TypeError"),
    ],
)
def test_a_function_that_fails_leaves_the_fused_answer_and_says_so(engine, tmp_path, function, message):
    names = [*engine.feature_schema().names, "my.own"]
    engine.close()
    with rag.Engine.open(tmp_path / "data", feature_functions={"my.own": function}) as engine:
        with pytest.raises(rag.InvalidArgument, match="my.own") as raised:
            engine.log_features({"a": "bakery"}, k=4)
        assert message in str(raised.value)
        if "Error" in message:
            assert type(raised.value.__cause__).__name__ == message
        before = [hit.id for hit in engine.search("bakery")]
        X = np.random.default_rng(1).random((10, len(names)), np.float32)
        engine.set_ranker(rag.Ranker.train_linear(X, X[:, 0], feature_names=names))
        answer = engine.search("bakery")
        assert len(answer.degraded) == 1 and answer.degraded[0].startswith("ltr: ") and message in answer.degraded[0]
        assert [hit.id for hit in answer] == before


def test_ctrl_c_in_a_function_is_not_swallowed(engine, tmp_path):
    def interrupted(query, documents):
        raise KeyboardInterrupt

    engine.close()
    with rag.Engine.open(tmp_path / "data", feature_functions={"my.own": interrupted}) as engine:
        with pytest.raises(KeyboardInterrupt):
            engine.log_features({"a": "bakery"})
        engine.set_ranker(rag.Ranker.train_linear([[0.0], [1.0]], [0, 1], feature_names=["my.own"]))
        with pytest.raises(KeyboardInterrupt):
            engine.search("bakery")
    with pytest.raises(rag.InvalidArgument, match="no function"):
        rag.Engine.open(tmp_path / "data", feature_functions={"my.own": 3})
    with pytest.raises(rag.InvalidArgument, match="feature_functions"):
        rag.Engine.open(tmp_path / "data", feature_functions=[1])
