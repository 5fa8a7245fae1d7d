"""Answers as HTML for notebooks."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = "text-align:left;vertical-align:top"


def table(answer: dict[str, Any]) -> str:
    """A table of the hits of ``Answer.to_dict()``."""
    rows = []
    for hit in answer["hits"]:
        name = escape(hit["id"]) + (f"<br><b>{escape(hit['title'])}</b>" if hit["title"] else "")
        cells = (str(hit["rank"]), f"{hit['score']:.4f}", name, escape(hit["text"]), escape(_pairs(hit["metadata"])))
        rows.append("<tr>" + "".join(f'<td style="{_STYLE}">{cell}</td>' for cell in cells) + "</tr>")
    head = "".join(f'<th style="{_STYLE}">{name}</th>' for name in ("rank", "score", "document", "passage", "metadata"))
    notes = "".join(f"<p>{escape(note)}</p>" for note in answer["degraded"])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{notes}"


def _pairs(metadata: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in metadata.items())
