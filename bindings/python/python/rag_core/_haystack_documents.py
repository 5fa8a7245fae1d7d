"""Documents of Haystack as documents of the engine, and back."""

from __future__ import annotations

import json
from typing import Any

from haystack import Document

from rag_core import Hit, InvalidArgument

#: Metadata field with what the engine has no type for: ``[[path, value], …]`` as JSON.
_REST = "_haystack"


def to_engine(document: Document) -> dict[str, Any]:
    """A document for ``Engine.upsert``."""
    if document.content is None or not document.content.strip():
        raise InvalidArgument(f"document {document.id!r}: `content` is empty; leave it out, there is nothing to find")
    if document.blob is not None:
        raise InvalidArgument(f"document {document.id!r}: it has a `blob`; the engine keeps text: convert it first")
    fields: dict[str, Any] = {}
    rest: list[tuple[list[str], Any]] = []
    _split(document.meta, [], fields, rest)
    if rest:
        try:
            fields[_REST] = json.dumps(rest)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"document {document.id!r}: `meta` cannot be written as JSON: {error}") from error
    title = document.meta.get("title")
    return {
        "id": document.id,
        "title": title if isinstance(title, str) else "",
        "text": document.content,
        "metadata": fields,
    }


def from_engine(stored: dict[str, Any]) -> Document:
    """A whole document, of ``Engine.get``."""
    meta = _meta(stored["metadata"], stored["title"])
    return Document(id=stored["id"], content=stored["text"], meta=meta)


def from_hit(hit: Hit) -> Document:
    """The passage that was found."""
    meta = {**_meta(hit.metadata, hit.title), "chunk": hit.chunk.to_dict()}
    return Document(id=hit.id, content=hit.text, meta=meta, score=hit.score)


def _split(meta: dict[str, Any], path: list[str], fields: dict[str, Any], rest: list[tuple[list[str], Any]]) -> None:
    """Values of the engine go into ``fields`` by dotted name, everything else into ``rest``."""
    for key, value in meta.items():
        here = [*path, key]
        if isinstance(value, dict) and value:
            _split(value, here, fields, rest)
        elif _is_value(value) and not any("." in part for part in here):
            fields[".".join(here)] = value
        else:
            rest.append((here, value))


def _is_value(value: Any) -> bool:
    """Whether the engine has a type for it, or is to say what is wrong with it."""
    if isinstance(value, (list, tuple)):
        return all(not isinstance(one, (dict, list, tuple)) and one is not None for one in value)
    return value is not None and not isinstance(value, dict)


def _meta(metadata: dict[str, Any], title: str) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    rest = json.loads(metadata.get(_REST, "[]"))
    for name, value in metadata.items():
        if name != _REST and not _put(meta, name.split("."), value):
            meta[name] = value
    for path, value in rest:
        _put(meta, path, value)
    if title:
        meta.setdefault("title", title)
    return meta


def _put(meta: dict[str, Any], path: list[str], value: Any) -> bool:
    """Sets what the path leads to; False where another value stands in the way."""
    for part in path[:-1]:
        below = meta.setdefault(part, {})
        if not isinstance(below, dict):
            return False
        meta = below
    if path[-1] in meta:
        return False
    meta[path[-1]] = value
    return True
