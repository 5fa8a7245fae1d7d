"""The retriever and the embeddings in LangChain, and LangChain's own tests of such classes."""

import asyncio

import pytest
import rag_core as rag

langchain_core = pytest.importorskip("langchain_core", reason="langchain-core is not installed")
langchain_tests = pytest.importorskip("langchain_tests", reason="langchain-tests is not installed")

from langchain_core.language_models import FakeListChatModel  # noqa: E402
from langchain_core.output_parsers import StrOutputParser  # noqa: E402
from langchain_core.prompts import ChatPromptTemplate  # noqa: E402
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough  # noqa: E402
from langchain_core.vectorstores import InMemoryVectorStore  # noqa: E402
from langchain_tests.integration_tests import EmbeddingsIntegrationTests, RetrieversIntegrationTests  # noqa: E402
from langchain_tests.unit_tests import EmbeddingsUnitTests  # noqa: E402
from rag_core.langchain import RagEmbeddings, RagRetriever  # noqa: E402


class TestStandardRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def opened(self, engine):
        self.engine = engine

    @property
    def retriever_constructor(self):
        return RagRetriever

    @property
    def retriever_constructor_params(self):
        return {"engine": self.engine}

    @property
    def retriever_query_example(self):
        return "when does the bakery open in the mountains"


class TestStandardEmbeddings(EmbeddingsUnitTests):
    @property
    def embeddings_class(self):
        return RagEmbeddings


class TestStandardEmbeddingsInUse(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return RagEmbeddings


def test_a_document_says_where_it_is_from(engine):
    hit = engine.search("sourdough")[0]
    document = RagRetriever(engine=engine).invoke("sourdough")[0]
    assert (document.id, document.page_content) == ("bread", "Rye bread is baked with sourdough.")
    assert document.metadata == {
        "year": 2024,
        "tags": ["food", "rye"],
        "id": "bread",
        "score": hit.score,
        "title": "",
        "chunk": {"ordinal": 0, "start": 0, "end": 34},
    }


def test_names_of_the_engine_win_over_metadata(engine):
    engine.upsert([{"id": "x", "text": "zeppelin", "metadata": {"id": "mine", "score": "good", "kind": "ship"}}])
    engine.commit()
    metadata = RagRetriever(engine=engine, k=1).invoke("zeppelin")[0].metadata
    assert metadata["id"] == "x" and isinstance(metadata["score"], float) and metadata["kind"] == "ship"


def test_filters_retrievers_and_tenants_reach_the_engine(engine):
    old = {"range": {"year": {"lt": 2024}}}
    retriever = RagRetriever(engine=engine, filter=old)
    assert {document.id for document in retriever.invoke("bakery")} == {"passes", "trains"}
    assert {document.id for document in retriever.invoke("x", filter={"eq": {"tags": "rye"}})} <= {"bread"}
    assert [one.id for one in RagRetriever(engine=engine, retrievers=["lexical"]).invoke("sourdough")] == ["bread"]
    other = RagRetriever(engine=engine, tenant="other").invoke("bakery")
    assert [document.page_content for document in other] == ["Another bakery, which opens at seven."]
    with pytest.raises(rag.InvalidArgument, match="equals"):
        RagRetriever(engine=engine, filter={"equals": {"a": 1}}).invoke("x")
    with pytest.raises(ValueError, match="Engine"):
        RagRetriever(engine="data")


def test_many_are_awaited_together(engine):
    retriever, questions = RagRetriever(engine=engine, k=2), ["bakery", "snow in the alps", "night train"]

    async def ask():
        return await asyncio.gather(*map(retriever.ainvoke, questions))

    assert asyncio.run(ask()) == [retriever.invoke(question) for question in questions] == retriever.batch(questions)


def test_k_is_configurable_per_run(engine):
    retriever = RagRetriever(engine=engine).configurable_fields(k=ConfigurableField(id="k"))
    assert len(retriever.invoke("the bakery", config={"configurable": {"k": 1}})) == 1


def test_a_chain_answers_from_what_was_found(engine):
    seen = []

    def numbered(documents):
        return "\n".join(f"[{document.id}] {document.page_content}" for document in documents)

    prompt = ChatPromptTemplate.from_template("Answer from this:\n{context}\n\nQuestion: {question}")
    chain = (
        {"context": RagRetriever(engine=engine, k=1) | numbered, "question": RunnablePassthrough()}
        | prompt
        | RunnableLambda(lambda value: seen.append(value.to_string()) or value)
        | FakeListChatModel(responses=["At six."])
        | StrOutputParser()
    )
    assert chain.invoke("when does the bakery open") == "At six."
    assert "[hours] The bakery opens at six in the morning." in seen[0] and "passes" not in seen[0]


def test_embeddings_are_those_of_the_model():
    model = rag.Embedder.load()
    embeddings = RagEmbeddings(model)
    assert embeddings.embed_documents(["bread", "snow"]) == model.encode(["bread", "snow"]).tolist()
    assert embeddings.embed_query("bread") == model.encode(["bread"], kind="query")[0].tolist()
    assert embeddings.embed_documents([]) == []
    store = InMemoryVectorStore.from_texts(["The bakery opens at six.", "Alpine passes close."], embeddings)
    assert store.similarity_search("bread and rolls", k=1)[0].page_content == "The bakery opens at six."


def test_questions_are_embedded_as_questions():
    """Which the bundled model does not tell apart, so what it is asked is looked at."""
    model, kinds = rag.Embedder.load(), []

    class Watched:
        def encode(self, texts, kind):
            kinds.append(kind)
            return model.encode(texts, kind)

    embeddings = RagEmbeddings(Watched())
    embeddings.embed_query("bread")
    embeddings.embed_documents(["bread"])
    assert kinds == ["query", "document"]


def test_the_examples_run(run_examples):
    run_examples("rag_core.langchain")
