"""A document store and a retriever for Haystack. Needs ``haystack-ai``: ``pip install 'rag-core[haystack]'``.

>>> import tempfile
>>> from haystack import Document, Pipeline
>>> from rag_core.haystack import RagDocumentStore, RagRetriever
>>> folder = tempfile.TemporaryDirectory()
>>> store = RagDocumentStore(folder.name)
>>> store.write_documents([Document(id="bread", content="The bakery opens at six.", meta={"year": 2024})])
1
>>> pipeline = Pipeline()
>>> _ = pipeline.add_component("retriever", RagRetriever(store, top_k=3))
>>> recent = {"field": "meta.year", "operator": ">=", "value": 2020}
>>> answer = pipeline.run({"retriever": {"query": "when does the bakery open", "filters": recent}})
>>> answer["retriever"]["documents"][0].content
'The bakery opens at six.'

A pipeline that is read from YAML has to be allowed to make objects of this package:
``Pipeline.loads(text, allowed_modules=["rag_core"])``.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from rag_core import Engine, InvalidArgument
from rag_core._frameworks import searching

try:
    from haystack import Document, component, default_from_dict, default_to_dict, logging
    from haystack.document_stores.errors import DuplicateDocumentError
    from haystack.document_stores.types import DuplicatePolicy, FilterPolicy, apply_filter_policy
except ImportError as error:
    raise ImportError("rag_core.haystack needs haystack-ai: pip install 'rag-core[haystack]'") from error

from rag_core._haystack_documents import from_engine, from_hit, to_engine
from rag_core._haystack_filters import translate, wanted_ids

__all__ = ["RagDocumentStore", "RagRetriever"]

logger = logging.getLogger(__name__)


class _Open:
    """An engine that the stores of one folder share; it is closed when the last of them is gone."""

    def __init__(self, engine: Engine, settings: tuple[str | None, str | None] | None) -> None:
        self.engine = engine
        #: Model and configuration it was opened with; None for an engine of the caller's.
        self.settings = settings
        self.writing = threading.RLock()


_open: weakref.WeakValueDictionary[str, _Open] = weakref.WeakValueDictionary()
_opening = threading.Lock()


class RagDocumentStore:
    """A data folder of the engine as a document store. Stores of one folder, in one process, share one engine.

    Every write is a commit. The engine embeds the content itself: no embedder is needed in a pipeline, and an embedding
    that a document brings along is not kept. ``meta["title"]`` is searched together with the content. Metadata comes
    back as it was written, dates as RFC 3339 strings. Nested dictionaries can be filtered on by their dotted names;
    None, and lists of other things than strings, numbers and booleans, are kept but cannot be filtered on.

    Filters mean what Haystack says, but: ``==`` and ``in`` hold for a list that has the value; booleans equal booleans
    only; a date-time without an offset is one of UTC; only metadata can be compared, and in ``filter_documents`` the
    ``id`` alone with ``==`` and ``in``. What the engine cannot say raises FilterError.
    """

    def __init__(
        self,
        engine: Engine | str | os.PathLike[str],
        *,
        model: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        tenant: str | None = None,
    ) -> None:
        """Makes a store; a folder is opened at the first use.

        Args:
            engine: An open engine, or the folder that is to be opened. ``to_dict`` of a store with an engine names the
                engine's folder.
            model: For a folder: the model, as in ``Engine.open``.
            config: For a folder: the file with settings, as in ``Engine.open``.
            tenant: Whose documents; None for "default".

        Raises:
            InvalidArgument: A model or configuration is given with an open engine.
        """
        self._path = engine.path if isinstance(engine, Engine) else os.fspath(engine)
        self._settings = (_text(model), _text(config))
        self._tenant = tenant
        self._shared: _Open | None = None
        if isinstance(engine, Engine):
            if self._settings != (None, None):
                raise InvalidArgument("`engine` is open already; `model` and `config` go with a folder")
            self._shared = _share(self._path, engine)

    @property
    def engine(self) -> Engine:
        """The open engine."""
        return self._opened().engine

    def to_dict(self) -> dict[str, Any]:
        """How to make this store again; the documents are in the folder."""
        model, config = self._settings
        return default_to_dict(self, engine=self._path, model=model, config=config, tenant=self._tenant)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RagDocumentStore:
        """The store that ``to_dict`` described."""
        return default_from_dict(cls, data)

    def close(self) -> None:
        """Lets go of the folder; the last store of a folder closes it. The next use opens it again.

        An engine that was opened by the caller stays open.
        """
        self._shared = None

    def count_documents(self) -> int:
        """How many documents there are."""
        return self.engine.stats(tenant=self._tenant).documents

    def count_documents_by_filter(self, filters: dict[str, Any]) -> int:
        """How many documents match."""
        return len(self._matching(filters))

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """The documents that match, whole, in the order of their ids."""
        ids = wanted_ids(filters)
        if ids is None:
            ids = self._matching(filters)
        found = (self.engine.get(id, tenant=self._tenant) for id in sorted(set(ids)))
        return [from_engine(stored) for stored in found if stored is not None]

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Writes documents and commits; gives how many were written. ``DuplicatePolicy.NONE`` is ``FAIL``.

        Raises:
            DuplicateDocumentError: With ``FAIL``, for an id that is there or comes twice; nothing is written.
            InvalidArgument: For a document that the engine cannot keep; nothing is written.
        """
        if isinstance(documents, str) or not all(isinstance(document, Document) for document in documents):
            raise InvalidArgument("`documents` is no list of documents of Haystack")
        with self._opened().writing:
            if policy == DuplicatePolicy.OVERWRITE:
                written = list(documents)
            else:
                written = self._new(documents, skip=policy == DuplicatePolicy.SKIP)
            if any(document.embedding or document.sparse_embedding for document in written):
                logger.warning("The embeddings of the documents are not kept: the engine embeds with its own model.")
            self.engine.upsert([to_engine(document) for document in written], tenant=self._tenant)
            self.engine.commit()
        return len(written)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Deletes documents and commits; ids that are not there are fine."""
        with self._opened().writing:
            self.engine.delete(document_ids, tenant=self._tenant)
            self.engine.commit()

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Deletes the documents that match; gives how many."""
        with self._opened().writing:
            ids = self._matching(filters)
            self.delete_documents(ids)
        return len(ids)

    def delete_all_documents(self) -> None:
        """Deletes every document of the tenant."""
        self.delete_by_filter({})

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Sets fields of the metadata of the documents that match; gives how many these are."""
        with self._opened().writing:
            documents = self.filter_documents(filters)
            for document in documents:
                document.meta.update(meta)
            return self.write_documents(documents, DuplicatePolicy.OVERWRITE)

    async def count_documents_async(self) -> int:
        """As ``count_documents``, in a thread; so are the methods after this one."""
        return await asyncio.to_thread(self.count_documents)

    async def count_documents_by_filter_async(self, filters: dict[str, Any]) -> int:
        return await asyncio.to_thread(self.count_documents_by_filter, filters)

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        return await asyncio.to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        await asyncio.to_thread(self.delete_documents, document_ids)

    async def delete_by_filter_async(self, filters: dict[str, Any]) -> int:
        return await asyncio.to_thread(self.delete_by_filter, filters)

    async def delete_all_documents_async(self) -> None:
        await asyncio.to_thread(self.delete_all_documents)

    async def update_by_filter_async(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        return await asyncio.to_thread(self.update_by_filter, filters, meta)

    def _opened(self) -> _Open:
        if self._shared is None:
            self._shared = _share(self._path, None, self._settings)
        return self._shared

    def _new(self, documents: Sequence[Document], *, skip: bool) -> list[Document]:
        """The documents whose id is not there yet, the first of each id."""
        new: dict[str, Document] = {}
        for document in documents:
            if document.id not in new and self.engine.get(document.id, tenant=self._tenant) is None:
                new[document.id] = document
            elif not skip:
                raise DuplicateDocumentError(f"document {document.id!r} is there already")
        return list(new.values())

    def _matching(self, filters: dict[str, Any] | None) -> list[str]:
        """Ids of all documents that match."""
        return self.engine.ids(translate(filters), tenant=self._tenant)


@component
class RagRetriever:
    """Answers with the best passage of each document that the engine finds.

    The content of a document is the passage, its ``id`` that of the document in the store. Its meta is the document's
    and ``chunk``, the place of the passage: ``ordinal``, and ``start`` and ``end`` in the UTF-8 bytes of the content
    that was written. The store gives whole documents by
    ``filter_documents({"field": "id", "operator": "in", "value": ids})``.
    """

    def __init__(
        self,
        document_store: RagDocumentStore,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
        filter_policy: FilterPolicy = FilterPolicy.REPLACE,
        retrievers: list[str] | None = None,
    ) -> None:
        """Makes a retriever of a store.

        Args:
            document_store: The store.
            filters: Only documents that match, in the form of Haystack.
            top_k: Most documents of an answer; None for as many as the engine gives unasked.
            filter_policy: Whether filters of ``run`` come in place of these or are merged with them.
            retrievers: Any of "dense" and "lexical"; None for both, fused.
        """
        if not isinstance(document_store, RagDocumentStore):
            raise InvalidArgument("`document_store` is no RagDocumentStore")
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.filter_policy = filter_policy
        self.retrievers = retrievers

    def warm_up(self) -> None:
        """Opens the folder, so that the first question need not wait."""
        self.document_store.engine  # noqa: B018

    def close(self) -> None:
        """Lets go of the folder, as ``RagDocumentStore.close``."""
        self.document_store.close()

    def to_dict(self) -> dict[str, Any]:
        """How to make this component again."""
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
            retrievers=self.retrievers,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RagRetriever:
        """The component that ``to_dict`` described."""
        parameters = dict(data["init_parameters"])
        parameters["document_store"] = RagDocumentStore.from_dict(parameters["document_store"])
        parameters["filter_policy"] = FilterPolicy.from_str(parameters["filter_policy"])
        return default_from_dict(cls, {**data, "init_parameters": parameters})

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Searches.

        Args:
            query: The question.
            filters: For this question; with those of the retriever as ``filter_policy`` says.
            top_k: For this question, in place of the retriever's.
        """
        answer = self.document_store.engine.search(query, **self._arguments(filters, top_k))
        return {"documents": [from_hit(hit) for hit in answer]}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """As ``run``, with the search in a thread."""
        answer = await self.document_store.engine.asearch(query, **self._arguments(filters, top_k))
        return {"documents": [from_hit(hit) for hit in answer]}

    def _arguments(self, filters: dict[str, Any] | None, top_k: int | None) -> dict[str, Any]:
        return searching(
            k=self.top_k if top_k is None else top_k,
            filter=translate(apply_filter_policy(self.filter_policy, self.filters, filters)),
            retrievers=self.retrievers,
            tenant=self.document_store._tenant,
        )


def _text(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def _share(path: str, engine: Engine | None, settings: tuple[str | None, str | None] = (None, None)) -> _Open:
    """The open engine of the folder, or a new one."""
    key = os.path.realpath(path)
    with _opening:
        shared = _open.get(key)
        if shared is not None and not _is_open(shared.engine):
            shared = None
        if engine is not None and (shared is None or shared.engine is not engine):
            shared = _open[key] = _Open(engine, None)
        elif shared is None:
            model, config = settings
            shared = _open[key] = _Open(Engine.open(path, model, config=config), settings)
        elif engine is None and shared.settings not in (None, settings):
            raise InvalidArgument(f"`{path}` is open with another `model` or `config`; give all its stores the same")
    return shared


def _is_open(engine: Engine) -> bool:
    try:
        engine.repairs  # noqa: B018
    except InvalidArgument:
        return False
    return True
