"""The retriever in LlamaIndex."""

import asyncio

import pytest
import rag_core as rag

llama_index = pytest.importorskip("llama_index.core", reason="llama-index-core is not installed")

from llama_index.core.llms import MockLLM  # noqa: E402
from llama_index.core.query_engine import RetrieverQueryEngine  # noqa: E402
from llama_index.core.retrievers import QueryFusionRetriever  # noqa: E402
from llama_index.core.schema import MetadataMode, NodeRelationship, ObjectType, QueryBundle  # noqa: E402
from rag_core.llama_index import RagRetriever  # noqa: E402


def test_a_node_knows_its_document(engine):
    hit = engine.search("when does the bakery open")[0]
    found = RagRetriever(engine).retrieve("when does the bakery open")[0]
    assert (found.node.node_id, found.node.ref_doc_id, found.score) == ("hours#0", "hours", hit.score)
    source = found.node.relationships[NodeRelationship.SOURCE]
    assert (source.node_type, source.metadata) == (ObjectType.DOCUMENT, {"year": 2024})
    assert found.metadata == {"year": 2024, "title": "Hours", "chunk": {"ordinal": 0, "start": 0, "end": 39}}
    shown = found.node.get_content(MetadataMode.LLM)
    assert "title: Hours" in shown and "chunk" not in shown
    assert type(found.node).from_dict(found.node.to_dict()) == found.node


def test_passages_of_a_long_document_have_ids_of_their_own(engine):
    lines = [f"Line {number} tells of many things that nobody has asked for." for number in range(200)]
    lines[150] = "The zeppelin hangar stands beside the lake."
    engine.upsert([{"id": "long", "text": "\n".join(lines)}])
    engine.commit()
    node = RagRetriever(engine, k=1).retrieve("zeppelin hangar")[0].node
    ordinal = node.metadata["chunk"]["ordinal"]
    assert ordinal > 0 and node.node_id == f"long#{ordinal}" and node.ref_doc_id == "long"
    assert "zeppelin" in node.text and len(node.text) < len("\n".join(lines))


def test_k_filters_retrievers_and_tenants_reach_the_engine(engine):
    def ids(**arguments):
        return [found.node.ref_doc_id for found in RagRetriever(engine, **arguments).retrieve("the bakery")]

    assert ids(k=1) == ["hours"]
    assert set(ids(filter={"range": {"year": {"lt": 2024}}})) == {"passes", "trains"}
    assert ids(retrievers=["lexical"], k=1) == ["hours"]
    assert ids(tenant="other") == ["hours"] and len(ids()) == 4
    with pytest.raises(rag.InvalidArgument, match="`k` is 0"):
        ids(k=0)


def test_a_foreign_embedding_in_the_query_is_not_used(engine):
    retriever = RagRetriever(engine)
    assert retriever.retrieve(QueryBundle("bakery", embedding=[0.1, 0.2])) == retriever.retrieve("bakery")


def test_many_are_awaited_together(engine):
    retriever, questions = RagRetriever(engine, k=2), ["bakery", "snow in the alps", "night train"]

    async def ask():
        return await asyncio.gather(*map(retriever.aretrieve, questions))

    assert asyncio.run(ask()) == [retriever.retrieve(question) for question in questions]


def test_two_retrievers_are_fused_by_passage(engine):
    both = [RagRetriever(engine, retrievers=[name], k=2) for name in ("dense", "lexical")]
    fused = QueryFusionRetriever(
        both, llm=MockLLM(), mode="reciprocal_rerank", num_queries=1, similarity_top_k=5, use_async=False
    )
    found = fused.retrieve("bakery")
    assert found[0].node.ref_doc_id == "hours" and found[0].score == pytest.approx(2 / 60)
    assert len({one.node.node_id for one in found}) == len(found)


def test_a_query_engine_answers_from_what_was_found(engine):
    queries = RetrieverQueryEngine.from_args(RagRetriever(engine, k=1), llm=MockLLM())
    answer = queries.query("when does the bakery open")
    assert "The bakery opens at six in the morning." in str(answer)  # the mock gives back its prompt
    assert [found.node.ref_doc_id for found in answer.source_nodes] == ["hours"]
    assert str(asyncio.run(queries.aquery("when does the bakery open"))) == str(answer)


def test_the_examples_run(run_examples):
    run_examples("rag_core.llama_index")
