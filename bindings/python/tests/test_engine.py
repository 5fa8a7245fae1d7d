"""The engine, from Python."""

import asyncio
import dataclasses
import datetime
import pickle
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import rag_core as rag
from rag_core import _rag_core, errors

DOCUMENTS = [
    {"id": "snow", "title": "Pass", "text": "Alpine passes close then.", "metadata": {"year": 2024, "tags": ["a"]}},
    {"id": "bread", "text": "The bakery opens at six.", "metadata": {"day": datetime.date(2024, 5, 1), "open": True}},
]


@pytest.fixture
def engine(tmp_path):
    engine = rag.Engine.open(tmp_path / "data")
    engine.upsert(DOCUMENTS)
    engine.commit()
    yield engine
    engine.close()


def test_documents_are_found_explained_and_deleted(engine):
    answer = engine.search("when does the bakery open", k=2, explain=True)
    hit = answer[0]
    assert (hit.id, hit.rank, hit.text) == ("bread", 1, "The bakery opens at six.")
    assert hit.metadata == {"day": "2024-05-01", "open": True}
    assert hit.explain.score == pytest.approx(sum(run.contribution for run in hit.explain.runs), abs=1e-6)
    assert [one.id for one in answer] == [one["id"] for one in answer.to_dict()["hits"]]
    assert answer[-1] is answer[len(answer) - 1] and len(answer[:1]) == 1
    assert "Hit(rank=1" in repr(answer) and "<table>" in answer._repr_html_()
    assert engine.explain("bakery", "bread").explain.fusion == "convex(min_max)"
    assert engine.delete(["bread", "nothing"]) == 1
    engine.commit()
    assert engine.get("bread") is None and [hit.id for hit in engine.search("bakery")] == ["snow"]
    assert engine.get("snow")["metadata"] == {"year": 2024, "tags": ["a"]}


def test_filters_retrievers_and_vectors(engine):
    assert [hit.id for hit in engine.search("the", filter={"eq": {"year": 2024}})] == ["snow"]
    after = {"range": {"day": {"gte": datetime.datetime(2024, 4, 30, tzinfo=datetime.timezone.utc)}}}
    assert [hit.id for hit in engine.search("the", filter=after)] == ["bread"]
    lexical = engine.search("bakery", retrievers=["lexical"])
    assert [hit.id for hit in lexical] == ["bread"]
    vector = rag.Embedder.load().encode(["bakery"], kind="query")[0]
    dense = engine.search("", vector=vector, retrievers=["dense"])
    assert [hit.id for hit in dense] == [hit.id for hit in engine.search("bakery", retrievers=["dense"])]
    assert "`jahr`" in engine.search("x", filter={"eq": {"jahr": 1}}).degraded[0]


def test_tenants_are_apart(engine):
    engine.upsert([{"id": "bread", "text": "Other bread."}], tenant="other")
    engine.commit()
    assert engine.get("bread", tenant="other")["text"] == "Other bread."
    assert engine.stats().documents == 2 and engine.stats(tenant="other").documents == 1
    assert engine.delete(["snow"], tenant="other") == 0


@dataclasses.dataclass
class Page:
    id: str
    text: str
    title: str = ""
    metadata: dict = dataclasses.field(default_factory=dict)


def test_documents_come_as_anything(tmp_path):
    pyarrow, polars, pandas = (pytest.importorskip(name) for name in ("pyarrow", "polars", "pandas"))
    columns = {"id": ["t1", "t2"], "text": ["one", "two"], "year": [1, 2], "tags": [["x"], ["y", "z"]]}
    tables = [pyarrow.table(columns), pyarrow.RecordBatch.from_pydict(columns), polars.DataFrame(columns)]
    for number, table in enumerate([*tables, pandas.DataFrame(columns)]):
        with rag.Engine.open(tmp_path / str(number)) as engine:
            assert engine.upsert(table).added == 2
        with rag.Engine.open(tmp_path / str(number)) as engine:
            assert engine.get("t2")["metadata"] == {"year": 2, "tags": ["y", "z"]}
    with rag.Engine.open(tmp_path / "objects") as engine:
        assert engine.upsert([Page("p", "page", metadata={"a": {"b": 1}})]).added == 1
        assert engine.upsert({"id": str(i), "text": f"number {i}"} for i in range(3000)).added == 3000
        day = pandas.Timestamp("2024-05-01")
        frame = pandas.DataFrame({"id": ["n"], "text": ["x"], "gone": [float("nan")], "when": [day]})
        engine.upsert(frame)
        engine.commit()
        assert engine.get("p")["metadata"] == {"a.b": 1}
        assert engine.get("n")["metadata"] == {"when": "2024-05-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("documents", "named"),
    [
        ([{"text": "x"}], "document 0: it has no `id`"),
        ([{"id": 7, "text": "x"}], "document 0: `id` is a int"),
        ([{"id": "a", "text": "x", "lang": "en"}], "document 0: `lang` is no field"),
        ([{"id": "a", "text": "x"}, {"id": "b", "metadata": {"k": object()}}], "document 1: metadata `k` is a object"),
        ([{"id": "a", "metadata": {"k": 2**64}}], "beyond 64 bits"),
        ([{"id": "a", "metadata": {"k": float("nan")}}], "`k` is not a finite number"),
        ([{"id": "a", "title": "t" * 5000}], "`title` has 5000 bytes"),
        ("text", "no collection of documents"),
        ({"id": "a"}, "no collection of documents"),
    ],
)
def test_wrong_documents_are_named_and_nothing_is_staged(engine, documents, named):
    with pytest.raises(rag.InvalidArgument, match=named):
        engine.upsert(documents)
    engine.commit()
    assert engine.stats().documents == 2


def test_every_kind_of_error_has_a_class():
    documented = (Path(__file__).parents[3] / "docs/errors.md").read_text("utf-8")
    for kind, name in _rag_core.error_kinds():
        standard = [base.__name__ for base in getattr(errors, name).__bases__ if base is not rag.RagError]
        bases = f" (`{standard[0]}`)" if standard else ""
        assert f"| `{kind}` | `{name}`{bases} |" in documented
        error = getattr(errors, name)
        assert error.kind == kind and issubclass(error, rag.RagError) and getattr(rag, name) is error
        again = pickle.loads(pickle.dumps(error("message", {"a": "b"})))
        assert (type(again), str(again), again.context) == (error, "message", {"a": "b"})


def test_errors_are_of_their_kind(tmp_path, engine):
    with pytest.raises(ValueError, match="`k` is 0"):
        engine.search("x", k=0)
    with pytest.raises(rag.Conflict, match="is in use by process"):
        rag.Engine.open(tmp_path / "data")
    with pytest.raises(KeyError, match="no document"):
        engine.explain("x", "nobody")
    with pytest.raises(TimeoutError):
        engine.search("x", timeout=0)
    with pytest.raises(rag.InvalidArgument, match="closed"):
        engine.close()
        engine.search("x")
    with pytest.raises(rag.NotFound):
        rag.Engine.open(tmp_path / "new", model=tmp_path / "nothing")


def test_a_context_manager_commits_or_drops(tmp_path):
    with rag.Engine.open(tmp_path / "d") as engine:
        engine.upsert([{"id": "a", "text": "kept"}])
    with pytest.raises(RuntimeError), rag.Engine.open(tmp_path / "d") as engine:
        engine.upsert([{"id": "b", "text": "dropped"}])
        raise RuntimeError
    with rag.Engine.open(tmp_path / "d") as engine:
        assert (engine.get("a") is None, engine.get("b") is None) == (False, True)


def test_values_are_pickled(engine):
    answer = engine.search("bakery", explain=True)
    for value in (answer, answer[0], answer[0].chunk, answer[0].explain, answer[0].explain.runs[0]):
        assert pickle.loads(pickle.dumps(value)) == value
    report = engine.upsert([{"id": "x", "text": "y"}])
    assert pickle.loads(pickle.dumps(report)) == report


def test_many_at_once_and_awaited(engine):
    one = [engine.search(text) for text in ("bakery", "winter passes")]
    assert engine.search_many(["bakery", "winter passes"]) == one

    async def ask():
        return await asyncio.gather(*(engine.asearch(text, k=10) for text in ("bakery", "winter passes")))

    assert asyncio.run(ask()) == one


def test_another_thread_runs_while_documents_are_indexed(engine):
    steps, over = [], threading.Event()

    def count():
        while not over.is_set():
            steps.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    words = " ".join(f"word{i}" for i in range(300))
    engine.upsert([{"id": str(i), "text": f"{i} {words}"} for i in range(3000)])
    engine.commit()
    over.set()
    thread.join()
    assert np.percentile(np.diff(steps), 95) < 0.1
