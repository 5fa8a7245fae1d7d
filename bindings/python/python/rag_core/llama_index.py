"""A retriever for LlamaIndex. Needs ``llama-index-core``: ``pip install 'rag-core[llama-index]'``.

>>> import tempfile
>>> import rag_core as rag
>>> from rag_core.llama_index import RagRetriever
>>> folder = tempfile.TemporaryDirectory()
>>> engine = rag.Engine.open(folder.name)
>>> report = engine.upsert([{"id": "bread", "title": "Hours", "text": "The bakery opens at six."}])
>>> commit = engine.commit()
>>> retriever = RagRetriever(engine, k=3)
>>> found = retriever.retrieve("when does the bakery open")[0]
>>> found.node.ref_doc_id, found.text, found.metadata["title"]
('bread', 'The bakery opens at six.', 'Hours')
"""

from __future__ import annotations

from typing import Any

from rag_core import Answer, Engine, Hit
from rag_core._frameworks import searching

try:
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import (
        IndexNode,
        NodeRelationship,
        NodeWithScore,
        ObjectType,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
    )
except ImportError as error:
    raise ImportError("rag_core.llama_index needs llama-index-core: pip install 'rag-core[llama-index]'") from error

__all__ = ["RagRetriever"]


class RagRetriever(BaseRetriever):
    """Answers with the best passage of each document that the engine finds, as a text node with its score.

    A node stands for the passage: its id is ``<id of the document>#<ordinal of the chunk>``, its ``ref_doc_id`` and its
    ``SOURCE`` the document. Its metadata is the document's and, winning over metadata of the same name, ``title``,
    where there is one, and ``chunk``, the place of the passage: ``ordinal``, and ``start`` and ``end`` in the UTF-8
    bytes of the text. ``chunk`` is shown neither to language models nor to embedding models. An equal passage is an
    equal node whatever was asked, so that retrievers can be fused.

    The words of the question are searched for, with the vectors of the engine's own model: an embedding that the query
    bundle brings along is of another one and is not used.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        k: int | None = None,
        filter: dict[str, Any] | str | None = None,
        retrievers: list[str] | None = None,
        tenant: str | None = None,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: list[IndexNode] | None = None,
        verbose: bool = False,
    ) -> None:
        """Makes a retriever of an open engine.

        Args:
            engine: An open engine.
            k: Most documents of an answer; None for as many as the engine gives unasked.
            filter: Only documents whose metadata matches, such as ``{"eq": {"lang": "en"}}``.
            retrievers: Any of "dense" and "lexical"; None for both, fused.
            tenant: Whose documents; None for "default".
            callback_manager: As of every retriever of LlamaIndex, like the arguments after it.
        """
        super().__init__(callback_manager=callback_manager, object_map=object_map, objects=objects, verbose=verbose)
        self._engine = engine
        self._arguments = searching(k=k, filter=filter, retrievers=retrievers, tenant=tenant)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(self._engine.search(query_bundle.query_str, **self._arguments))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(await self._engine.asearch(query_bundle.query_str, **self._arguments))


def _nodes(answer: Answer) -> list[NodeWithScore]:
    return [NodeWithScore(node=_node(hit), score=hit.score) for hit in answer]


def _node(hit: Hit) -> TextNode:
    metadata = {**hit.metadata, "chunk": hit.chunk.to_dict()}
    if hit.title:
        metadata["title"] = hit.title
    source = RelatedNodeInfo(node_id=hit.id, node_type=ObjectType.DOCUMENT, metadata=dict(hit.metadata))
    return TextNode(
        id_=f"{hit.id}#{hit.chunk.ordinal}",
        text=hit.text,
        metadata=metadata,
        excluded_embed_metadata_keys=["chunk"],
        excluded_llm_metadata_keys=["chunk"],
        relationships={NodeRelationship.SOURCE: source},
    )
