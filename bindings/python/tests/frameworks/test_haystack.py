"""The document store and the retriever in Haystack, and Haystack's own tests of document stores."""

import asyncio
import dataclasses
import datetime
import inspect

import pytest
import rag_core as rag

haystack = pytest.importorskip("haystack", reason="haystack-ai is not installed")

from haystack import Document, Pipeline, component  # noqa: E402
from haystack.components.builders import PromptBuilder  # noqa: E402
from haystack.components.preprocessors import DocumentSplitter, HierarchicalDocumentSplitter  # noqa: E402
from haystack.components.retrievers import AutoMergingRetriever, SentenceWindowRetriever  # noqa: E402
from haystack.components.writers import DocumentWriter  # noqa: E402
from haystack.dataclasses import ByteStream  # noqa: E402
from haystack.document_stores.errors import DuplicateDocumentError  # noqa: E402
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy  # noqa: E402
from haystack.errors import FilterError  # noqa: E402
from haystack.testing import document_store as standard  # noqa: E402
from haystack.testing import document_store_async as standard_async  # noqa: E402
from haystack.utils.filters import document_matches_filter  # noqa: E402
from rag_core.haystack import RagDocumentStore, RagRetriever  # noqa: E402


@pytest.fixture
def document_store(tmp_path):
    return RagDocumentStore(tmp_path / "data")


class Comparing:
    """Embeddings are not kept, and documents come by id."""

    @staticmethod
    def assert_documents_are_equal(received, expected):
        kept = [dataclasses.replace(document, embedding=None) for document in expected]
        assert received == sorted(kept, key=lambda document: document.id)

    @pytest.fixture
    def document_store(self, tmp_path):
        return RagDocumentStore(tmp_path / "data")


class TestStandard(Comparing, standard.DocumentStoreBaseExtendedTests, standard.CountDocumentsByFilterTest):
    def test_write_documents(self, document_store):
        documents = [Document(id="1", content="one")]
        assert document_store.write_documents(documents) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents(documents, DuplicatePolicy.NONE)


class TestStandardAsync(
    Comparing,
    standard_async.CountDocumentsAsyncTest,
    standard_async.CountDocumentsByFilterAsyncTest,
    standard_async.DeleteAllAsyncTest,
    standard_async.DeleteByFilterAsyncTest,
    standard_async.DeleteDocumentsAsyncTest,
    standard_async.FilterDocumentsAsyncTest,
    standard_async.UpdateByFilterAsyncTest,
    standard_async.WriteDocumentsAsyncTest,
):
    async def test_write_documents_async(self, document_store):
        assert await document_store.write_documents_async([Document(id="1", content="one")]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([Document(id="1", content="one")], DuplicatePolicy.NONE)


META = [
    {"number": 1, "flag": True, "day": "2024-05-01", "person": {"name": "Ada", "age": 36}},
    {"number": -2.5, "flag": False, "day": "2024-05-01T10:00:00", "person": {"name": "Bob"}},
    {"number": 7, "day": "2024-05-02T01:00:00+02:00", "kind": "x"},
    {"kind": "y", "day": "2024-05-03T00:00:00Z"},
    {},
]
CONDITIONS = [
    *({"field": "meta.number", "operator": sign, "value": 1} for sign in ("==", "!=", ">", ">=", "<", "<=")),
    *({"field": "meta.day", "operator": sign, "value": "2024-05-01"} for sign in ("==", "!=", ">", ">=", "<", "<=")),
    *({"field": "meta.day", "operator": sign, "value": "2024-05-01T23:00:00Z"} for sign in (">", "<=")),
    *({"field": "meta.day", "operator": sign, "value": "2024-05-01T10:00:00"} for sign in ("==", ">=", "<")),
    {"field": "meta.flag", "operator": "==", "value": True},
    {"field": "meta.flag", "operator": "!=", "value": True},
    {"field": "meta.person.name", "operator": "in", "value": ["Ada", "Eve"]},
    {"field": "meta.person.name", "operator": "not in", "value": ["Ada", "Eve"]},
    {"field": "meta.person.age", "operator": ">", "value": 30},
    {"field": "meta.kind", "operator": "in", "value": ["x", None]},
    {"field": "meta.kind", "operator": "not in", "value": [None]},
    {"field": "kind", "operator": "==", "value": "y"},
    {"field": "meta.nowhere", "operator": "==", "value": None},
]


def test_filters_mean_what_haystack_says(document_store):
    """Against Haystack's own definition, alone and in AND, OR and NOT with each other."""
    documents = [Document(id=str(number), content=f"text {number}", meta=meta) for number, meta in enumerate(META)]
    document_store.write_documents(documents)
    pairs = zip(CONDITIONS, CONDITIONS[1:] + CONDITIONS[:1], strict=True)
    nested = [{"operator": sign, "conditions": list(pair)} for pair in pairs for sign in ("AND", "OR", "NOT")]
    for filters in CONDITIONS + nested:
        expected = [document.id for document in documents if document_matches_filter(filters, document)]
        assert [document.id for document in document_store.filter_documents(filters)] == expected, filters
        assert document_store.count_documents_by_filter(filters) == len(expected)


def test_dates_are_equal_as_moments(document_store):
    days = ["2024-05-01T23:00:00Z", "2024-05-02T01:00:00+02:00", "2024-05-01T23:00:00", "2024-05-01", "soon"]
    document_store.write_documents([Document(id=day, content="text", meta={"day": day}) for day in days])

    def found(operator, value):
        filters = {"field": "meta.day", "operator": operator, "value": value}
        return {document.id for document in document_store.filter_documents(filters)}

    for day in (*days[:3], datetime.datetime(2024, 5, 1, 23, tzinfo=datetime.timezone.utc)):
        assert found("==", day) == found("in", ["x", day]) == set(days[:3]), day
        assert found("!=", day) == set(days[3:])
        assert found("<", day) == {"2024-05-01"}
    assert found("==", datetime.date(2024, 5, 1)) == {"2024-05-01"} and found("==", "soon") == {"soon"}
    assert found(">", "2024-04-01") == set(days[:4])


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"field": "content", "operator": "==", "value": "x"}, "`content` is none"),
        ({"field": "id", "operator": "!=", "value": "x"}, "`id` is none"),
        ({"field": "meta.a", "operator": "==", "value": [1]}, "`a` is compared with a list"),
        ({"field": "meta.a", "operator": ">", "value": "soon"}, "give a number or an ISO date"),
        ({"field": "meta.a", "operator": "~", "value": 1}, "unknown operator '~'"),
        ({"operator": "XOR", "conditions": []}, "unknown logical operator 'XOR'"),
        ({"operator": "AND", "conditions": ["a"]}, "a filter is a str"),
        ({"field": 7, "operator": "==", "value": 1}, "`field` is a int"),
    ],
)
def test_what_the_engine_cannot_say_is_refused(document_store, filters, named):
    for ask in (document_store.filter_documents, document_store.delete_by_filter):
        with pytest.raises(FilterError, match=named):
            ask(filters)


def test_metadata_comes_back_as_it_was(document_store):
    document = Document(
        content="text",
        meta={
            "title": "A title",
            "nested": {"deep": {"list": [1, "a", 2.5]}, "none": None, "empty": {}},
            "_split_overlap": [{"doc_id": "a", "range": [0, 5]}],
            "dotted.name": 1,
            "dotted": {"name": 2},
            "nothing": None,
            "empty": [],
        },
    )
    document_store.write_documents([document])
    assert document_store.filter_documents() == [document]
    assert document_store.engine.get(document.id)["title"] == "A title"
    deep = {"field": "meta.nested.deep.list", "operator": "==", "value": "a"}
    assert document_store.filter_documents(deep) == [document]
    day = datetime.date(2024, 5, 1)
    document_store.write_documents([Document(id="day", content="a day", meta={"day": day})])
    [found] = document_store.filter_documents({"field": "meta.day", "operator": "==", "value": day})
    assert found.meta == {"day": "2024-05-01"}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (Document(id="a", content=" "), "document 'a': `content` is empty"),
        (Document(id="a", content="x", blob=ByteStream(b"x")), "document 'a': it has a `blob`"),
        (Document(id="a", content="x", meta={"k": [[object()]]}), "document 'a': `meta` cannot be written as JSON"),
        (Document(id="a", content="x", meta={"k": 2**64}), "metadata `k` is beyond 64 bits"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_is_written(document_store, document, named):
    with pytest.raises(rag.InvalidArgument, match=named):
        document_store.write_documents([Document(content="fine"), document])
    assert document_store.count_documents() == 0


def test_an_embedding_is_dropped_aloud(document_store, caplog):
    document_store.write_documents([Document(id="1", content="one", embedding=[0.1, 0.2]), Document(content="two")])
    assert caplog.text.count("embeddings of the documents are not kept") == 1
    assert document_store.filter_documents({"field": "id", "operator": "==", "value": "1"})[0].embedding is None


def test_ids_that_come_twice(document_store):
    first, second = Document(id="1", content="first"), Document(id="1", content="second")
    with pytest.raises(DuplicateDocumentError, match="'1'"):
        document_store.write_documents([first, second])
    assert document_store.count_documents() == 0
    assert document_store.write_documents([first, second], DuplicatePolicy.SKIP) == 1
    assert document_store.filter_documents() == [first]
    assert document_store.write_documents([first, second], DuplicatePolicy.OVERWRITE) == 2
    assert document_store.filter_documents() == [second]


def test_more_documents_are_listed_than_a_search_may_give(document_store):
    engine = document_store.engine
    engine.upsert([{"id": str(number), "text": f"word{number}"} for number in range(10_001)])
    engine.upsert([{"id": "blank"}])
    engine.commit()
    assert document_store.count_documents() == len(document_store.filter_documents()) == 10_002
    ids = {"field": "id", "operator": "in", "value": ["7", "9", "gone"]}
    assert [document.content for document in document_store.filter_documents(ids)] == ["word7", "word9"]
    document_store.delete_all_documents()
    assert document_store.count_documents() == 0


def test_the_retriever_gives_passages(document_store):
    text = "\n".join(f"Line {number} tells of things that nobody asked for." for number in range(200))
    document_store.write_documents([Document(id="long", content=f"{text}\nThe zeppelin hangar.", meta={"year": 2024})])
    [found] = RagRetriever(document_store).run("zeppelin hangar")["documents"]
    chunk = found.meta["chunk"]
    assert found.id == "long" and found.meta["year"] == 2024 and found.score > 0 and chunk["ordinal"] > 0
    whole = document_store.filter_documents({"field": "id", "operator": "==", "value": "long"})[0].content
    assert whole.encode()[chunk["start"] : chunk["end"]].decode() == found.content != whole


def test_filters_top_k_and_retrievers_reach_the_engine(engine):
    store = RagDocumentStore(engine)
    year, rye = ({"field": name, "operator": "==", "value": to} for name, to in (("meta.year", 2024), ("tags", "rye")))

    def ids(retriever, **arguments):
        return [document.id for document in retriever.run("bakery bread", **arguments)["documents"]]

    assert len(ids(RagRetriever(store))) == 4 and len(ids(RagRetriever(store, top_k=3), top_k=2)) == 2
    assert set(ids(RagRetriever(store, filters=year))) == {"hours", "bread"}
    old = {"field": "meta.year", "operator": "<", "value": 2024}
    assert set(ids(RagRetriever(store, filters=year), filters=old)) == {"passes", "trains"}
    merged = RagRetriever(store, filters=year, filter_policy=FilterPolicy.MERGE)
    assert ids(merged, filters=rye) == ["bread"]
    assert ids(RagRetriever(store, retrievers=["lexical"], top_k=1)) == ["bread"]
    assert ids(RagRetriever(RagDocumentStore(engine, tenant="other"))) == ["hours"]
    assert RagRetriever(store).run("bakery")["documents"][0].meta["title"] == "Hours"
    with pytest.raises(rag.InvalidArgument, match="RagDocumentStore"):
        RagRetriever(engine)


@component
class Echo:
    """Stands for a language model: answers with the prompt."""

    @component.output_types(replies=list[str])
    def run(self, prompt: str):
        return {"replies": [prompt]}


def pipeline_of(store):
    pipeline = Pipeline()
    pipeline.add_component("retriever", RagRetriever(store, top_k=1, filter_policy=FilterPolicy.MERGE))
    template = "{% for document in documents %}{{ document.content }}{% endfor %} {{ question }}"
    pipeline.add_component("prompt", PromptBuilder(template, required_variables=["documents", "question"]))
    pipeline.add_component("model", Echo())
    pipeline.connect("retriever.documents", "prompt.documents")
    pipeline.connect("prompt.prompt", "model.prompt")
    return pipeline


def loads(text):
    if "allowed_modules" in inspect.signature(Pipeline.loads).parameters:  # since Haystack 3
        return Pipeline.loads(text, allowed_modules=["rag_core", Echo.__module__])
    return Pipeline.loads(text)


def test_a_pipeline_answers_and_comes_back_from_yaml(document_store, tmp_path):
    splitting = Pipeline()
    splitting.add_component("splitter", DocumentSplitter(split_by="word", split_length=8, split_overlap=2))
    splitting.add_component("writer", DocumentWriter(document_store))
    splitting.connect("splitter", "writer")
    text = "The bakery opens at six in the morning. Alpine passes close when the snow comes to the mountains."
    written = splitting.run({"splitter": {"documents": [Document(content=text)]}})["writer"]["documents_written"]
    assert written == document_store.count_documents() > 1

    pipeline = pipeline_of(document_store)
    question = "when does the bakery open"
    inputs = {"retriever": {"query": question}, "prompt": {"question": question}}
    answer = pipeline.run(inputs)
    assert "The bakery opens at six" in answer["model"]["replies"][0]
    dumped = pipeline.dumps()
    assert "rag_core.haystack.RagRetriever" in dumped and str(tmp_path) in dumped
    again = loads(dumped)  # while the first one has the folder open
    assert again.run(inputs) == answer and again.to_dict()["components"] == pipeline.to_dict()["components"]
    with pytest.raises(rag.Conflict):
        rag.Engine.open(tmp_path / "data")
    for store in (document_store, again.get_component("retriever").document_store):
        store.close()
    with rag.Engine.open(tmp_path / "data") as engine:
        assert engine.stats().documents == written
    assert loads(dumped).run(inputs) == answer


TEXT = "Line 0 tells of the hangar. Line 1 tells of the lake. Line 2 tells of the depot. Line 3 tells of the pier."


def test_retrievers_of_haystack_that_ask_the_store_for_more(document_store):
    """They filter by metadata that splitters write, and by id."""
    splitter = DocumentSplitter(split_by="period", split_length=1)
    document_store.write_documents(splitter.run([Document(content=TEXT)])["documents"])
    found = RagRetriever(document_store, top_k=1).run("lake")["documents"]
    windows = SentenceWindowRetriever(document_store, window_size=1).run(found)["context_windows"]
    assert [window.strip() for window in windows] == [TEXT.partition(" Line 3")[0]]

    document_store.delete_all_documents()
    tree = HierarchicalDocumentSplitter(block_sizes={6}, split_overlap=0, split_by="word")
    document_store.write_documents(tree.run([Document(content=TEXT)])["documents"])
    leaves = {"field": "meta.__level", "operator": "==", "value": 1}
    found = RagRetriever(document_store, filters=leaves, top_k=4).run("Line")["documents"]
    merged = AutoMergingRetriever(document_store, threshold=0.5).run(found)["documents"]
    assert len(found) == 4 and [document.content for document in merged] == [TEXT]


def test_a_retriever_is_awaited(engine):
    retriever = RagRetriever(RagDocumentStore(engine), top_k=2)
    retriever.warm_up()

    async def ask():
        return await asyncio.gather(*map(retriever.run_async, ("bakery", "night train")))

    assert asyncio.run(ask()) == [retriever.run("bakery"), retriever.run("night train")]


def test_stores_of_a_folder_share_an_engine(engine, tmp_path):
    given = RagDocumentStore(engine)
    with pytest.raises(rag.InvalidArgument, match="open already"):
        RagDocumentStore(engine, model="model")
    assert RagDocumentStore.from_dict(given.to_dict()).engine is engine
    given.close()
    assert engine.stats().documents == 4  # an engine of the caller stays open
    settings = tmp_path / "rag.toml"
    settings.write_text("")
    first = RagDocumentStore(tmp_path / "own", config=settings)
    assert RagDocumentStore(tmp_path / "own", config=settings).engine is first.engine
    with pytest.raises(rag.InvalidArgument, match="another `model` or `config`"):
        RagDocumentStore(tmp_path / "own").count_documents()
    again = RagDocumentStore.from_dict(first.to_dict())
    assert again.to_dict() == first.to_dict() and again.engine is first.engine
    first.engine.close()
    assert RagDocumentStore(tmp_path / "own").count_documents() == 0


def test_the_examples_run(run_examples):
    run_examples("rag_core.haystack")
