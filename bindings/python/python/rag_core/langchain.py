"""A retriever and embeddings for LangChain. Needs ``langchain-core``: ``pip install 'rag-core[langchain]'``.

>>> import tempfile
>>> import rag_core as rag
>>> from rag_core.langchain import RagRetriever
>>> folder = tempfile.TemporaryDirectory()
>>> engine = rag.Engine.open(folder.name)
>>> report = engine.upsert([{"id": "bread", "title": "Hours", "text": "The bakery opens at six."}])
>>> commit = engine.commit()
>>> retriever = RagRetriever(engine=engine, k=3)
>>> document = retriever.invoke("when does the bakery open")[0]
>>> document.id, document.page_content, document.metadata["title"]
('bread', 'The bakery opens at six.', 'Hours')

The embeddings, for what LangChain indexes itself:

>>> from rag_core.langchain import RagEmbeddings
>>> embeddings = RagEmbeddings()
>>> len(embeddings.embed_query("when does the bakery open")) == embeddings.embedder.dimension
True
"""

from __future__ import annotations

from typing import Any

from rag_core import Answer, Embedder, Engine
from rag_core._frameworks import searching

try:
    from langchain_core.callbacks.manager import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:
    raise ImportError("rag_core.langchain needs langchain-core: pip install 'rag-core[langchain]'") from error

__all__ = ["RagEmbeddings", "RagRetriever"]


class RagRetriever(BaseRetriever):
    """Answers with the best passage of each document that the engine finds.

    The content of a document is the passage, its ``id`` that of the document in the engine. Its metadata is what the
    engine has and, winning over metadata of the same name, ``id``, ``score`` (higher is better), ``title`` and
    ``chunk``, the place of the passage: ``ordinal``, and ``start`` and ``end`` in the UTF-8 bytes of the text.

    ``invoke(question, k=…, filter=…)`` gives another ``k`` or ``filter`` for one call, in place of the retriever's.
    """

    engine: Engine
    """An open engine."""
    k: int | None = None
    """Most documents of an answer; None for as many as the engine gives unasked."""
    filter: dict[str, Any] | str | None = None
    """Only documents whose metadata matches, such as ``{"eq": {"lang": "en"}}``."""
    retrievers: list[str] | None = None
    """Any of "dense" and "lexical"; None for both, fused."""
    tenant: str | None = None
    """Whose documents; None for "default"."""

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: dict[str, Any] | str | None = None,
    ) -> list[Document]:
        return _documents(self.engine.search(query, **self._arguments(k, filter)))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: dict[str, Any] | str | None = None,
    ) -> list[Document]:
        return _documents(await self.engine.asearch(query, **self._arguments(k, filter)))

    def _arguments(self, k: int | None, filter: dict[str, Any] | str | None) -> dict[str, Any]:
        k = self.k if k is None else k
        filter = self.filter if filter is None else filter
        return searching(k=k, filter=filter, retrievers=self.retrievers, tenant=self.tenant)


def _documents(answer: Answer) -> list[Document]:
    documents = []
    for hit in answer:
        own = {"id": hit.id, "score": hit.score, "title": hit.title, "chunk": hit.chunk.to_dict()}
        documents.append(Document(page_content=hit.text, id=hit.id, metadata={**hit.metadata, **own}))
    return documents


class RagEmbeddings(Embeddings):
    """An embedding model of rag-core. Vectors have length 1, or are zeros for a text without a known word."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        """Takes a loaded model; None for the bundled one."""
        self.embedder = Embedder.load() if embedder is None else embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector for each text."""
        vectors: list[list[float]] = self.embedder.encode(texts, kind="document").tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question; some models put other words before it than before a document."""
        vector: list[float] = self.embedder.encode([text], kind="query")[0].tolist()
        return vector
