"""What is handed in and should not be, or is not what one expects first."""

import collections
import datetime
import time
import types

import numpy as np
import pytest
import rag_core as rag


@pytest.fixture
def engine(tmp_path):
    engine = rag.Engine.open(tmp_path / "data")
    yield engine
    engine.close()


def nested(depth):
    inner = {"leaf": 1}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def cyclic(kind):
    made = [] if kind is list else {}
    made.append(made) if kind is list else made.update(a=made)
    return made


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"v": cyclic(list)}, "document 0: metadata `v` is a list"),
        ({"v": [[1]]}, "metadata `v` is a list"),
        (cyclic(dict), "more than 32 dictionaries"),
        (nested(40), "more than 32 dictionaries"),
        ({"v": np.timedelta64(5, "ns")}, "`v` is a timedelta64"),
        ({"v": np.complex64(1)}, "`v` is a complex64"),
        ({"v": "\ud800"}, "`v` has half a character"),
        ({"\ud800": 1}, "`metadata` has half a character"),
        ({"v": {1: 2}}, "a key that is not a string"),
    ],
)
def test_metadata_that_cannot_be_kept_is_named(engine, metadata, named):
    with pytest.raises(rag.InvalidArgument, match=named):
        engine.upsert([{"id": "a", "text": "t", "metadata": metadata}])


def test_values_of_numpy_are_those_of_python(engine):
    moment = np.datetime64("2024-05-01T12:00:00.000000123", "ns")
    metadata = {
        "long": np.longdouble(1.5),
        "longs": [np.longdouble(2.5), np.float32(0.5)],
        "when": moment,
        "array": np.array([1, 2]),
        "flag": np.bool_(True),
        "text": np.str_("x"),
        "deep": nested(20),
    }
    engine.upsert([{"id": "a", "text": "t", "metadata": metadata}])
    engine.commit()
    kept = engine.get("a")["metadata"]
    assert kept["long"] == 1.5 and kept["longs"] == [2.5, 0.5] and kept["array"] == [1, 2]
    assert kept["when"] == "2024-05-01T12:00:00+00:00" and kept["flag"] is True and kept["text"] == "x"
    assert engine.ids({"eq": {"when": moment.astype("datetime64[s]")}}) == ["a"]
    with pytest.raises(rag.InvalidArgument, match="`filter` cannot be written"):
        engine.ids({"in": {"x": {1, 2}}})


def test_tables_of_lists_and_readers_of_batches(engine):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    table = pyarrow.table({"id": ["a", "b"], "text": ["t", "u"], "tags": [["x", "y"], None]})
    assert engine.upsert(table.to_pandas()).added == 2
    assert engine.upsert(pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches())).unchanged == 2
    engine.commit()
    assert engine.get("a")["metadata"] == {"tags": ["x", "y"]} and engine.get("b")["metadata"] == {}


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda engine: engine.search("x", k=-1), "`k` is -1"),
        (lambda engine: engine.search("x", k=2**70), "`k` is 11805"),
        (lambda engine: engine.search("x", retrievers="dense"), "`retrievers` is a str"),
        (lambda engine: engine.search("x", retrievers=[1]), "`retrievers` has a int at position 0"),
        (lambda engine: engine.search_many("abc"), "`texts` is a str"),
        (lambda engine: engine.search_many(["a", 1]), "`texts` has a int at position 1"),
        (lambda engine: engine.delete("abc"), "`ids` is a str"),
        (lambda engine: engine.delete([7]), "`ids` has a int"),
        (lambda engine: engine.delete(7), "`ids` is a int"),
        (lambda engine: engine.ids(limit=-1), "`limit` is -1"),
        (lambda engine: engine.search("x", timeout=float("nan")), "`timeout` is NaN"),
        (lambda engine: engine.upsert([{"id": "\ud800", "text": ""}]), "document 0: `id` has half a character"),
        (lambda engine: rag.VectorIndex(-1), "`dim` is -1"),
        (lambda engine: rag.evaluate({"q": 1}, {}, ["map"]), "`qrels` is no dictionary"),
        (lambda engine: rag.evaluate({}, {"q": {"a": "x"}}, ["map"]), '`run`: query "q", document "a"'),
    ],
)
def test_arguments_are_named(engine, call, named):
    with pytest.raises(rag.InvalidArgument, match=named):
        call(engine)


def test_mappings_are_as_good_as_dictionaries():
    qrels = types.MappingProxyType({"q": types.MappingProxyType({"a": 1})})
    run = collections.OrderedDict(q=collections.ChainMap({"a": 1.0}))
    assert rag.evaluate(qrels, run, ["mrr"]) == {"mrr": 1.0}


@pytest.mark.parametrize(
    ("ids", "vectors", "named"),
    [
        ([-5], np.ones((1, 8)), "`ids` has -5"),
        (np.array([-5]), np.ones((1, 8)), "`ids` has -5"),
        ([1.7], np.ones((1, 8)), "`ids` is no array of ids"),
        (np.array([1.7]), np.ones((1, 8)), "`ids` is an array of float64"),
        ([True], np.ones((1, 8)), "`ids` is an array of bool"),
        (["7"], np.ones((1, 8)), "`ids` is an array of <U1"),
        ([[1]], np.ones((1, 8)), "`ids` has 2 dimensions"),
        ([2**64], np.ones((1, 8)), "`ids` is no array of ids"),
        ([1], np.ones((2, 4)), "`vectors` has rows of 4 values"),
        ([1], np.ones((1, 1, 8)), "`vectors` has 3 dimensions"),
        ([1], np.ones(8), "`vectors` has 1 dimensions"),
        ([1], np.ones((1, 8)) * 1j, "`vectors` is an array of complex128"),
        ([1], [["x"] * 8], "`vectors` is an array of <U1"),
        ([1, 2], np.ones((1, 8)), "`vectors` has 1 rows"),
    ],
)
def test_arrays_of_the_wrong_sort_are_named(ids, vectors, named):
    index = rag.VectorIndex(8)
    with pytest.raises(rag.InvalidArgument, match=named):
        index.add(ids, vectors)
    assert len(index) == 0 and -1 not in index


def test_arrays_come_in_any_order_and_type():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((40, 8))
    index = rag.VectorIndex(8)
    index.add(np.arange(10, dtype=np.int8), np.asfortranarray(vectors[:10]))
    index.add(np.arange(20, 40)[::2], vectors[10:20].astype(np.float32))
    index.add([100, 2**64 - 2], vectors[20:40:10][:, ::-1].tolist())
    index.add([], np.empty((0, 8)))
    index.add([], [])
    assert len(index) == 22 and 2**64 - 2 in index
    for queries, shape in ((vectors[:2], (2, 3)), (vectors[0], (3,)), (np.empty((0, 8)), (0, 3))):
        ids, scores = index.search(queries, k=3)
        assert ids.shape == scores.shape == shape
    for wrong in (np.ones((2, 4)), np.ones((8, 1)), np.ones((2, 2, 8)), np.ones(7), 3.0):
        with pytest.raises(rag.InvalidArgument, match="`query`"):
            index.search(wrong)
    with pytest.raises(rag.InvalidArgument, match="`allow` is an array of bool"):
        index.search(vectors[0], allow=np.ones(22, bool))
    for k in (10**13, 2**62, 2**70, 0, -1):
        with pytest.raises(rag.InvalidArgument, match="`k` is"):
            index.search(vectors[:2], k=k)
    with pytest.raises(rag.ResourceExhausted, match="`k` is 1000000"):
        index.search(np.ones((2000, 8)), k=1_000_000)


def test_the_deadline_is_that_of_the_whole_call(engine):
    def slow():
        for i in range(3000):
            if i % 1000 == 0:
                time.sleep(0.2)
            yield {"id": str(i), "text": "t"}

    with pytest.raises(rag.DeadlineExceeded):
        engine.upsert(slow(), timeout=0.3)


def test_a_search_by_vector_is_explained(engine):
    engine.upsert([{"id": "a", "text": "bread"}])
    engine.commit()
    vector = rag.Embedder.load().encode(["bread"], kind="query")[0]
    assert engine.explain("", "a", vector=vector, timeout=10).explain.runs[0].run == "dense"


def test_a_block_may_close_what_it_opened(tmp_path):
    with rag.Engine.open(tmp_path / "d") as engine:
        engine.upsert([{"id": "a", "text": "t", "metadata": {"day": datetime.date(2024, 5, 1)}}])
        engine.commit()
        engine.close()
        engine.close()
    with rag.Engine.open(tmp_path / "d") as engine:
        assert engine.stats().documents == 1
