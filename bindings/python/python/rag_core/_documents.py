"""What documents may come as, made plain for the native module."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Rows of a table that are converted at once.
_ROWS = 1024


def as_json(value: object) -> Any:
    """Dates for ``json.dumps``."""
    plain_value = plain(value)
    if plain_value is None:
        raise TypeError(f"a filter cannot compare with a {type(value).__name__}")
    return plain_value


def plain(value: Any) -> Any:
    """A date as RFC 3339, a scalar of numpy as Python's own; ``None`` for anything else."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return value.isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        if kind == "M":  # in nanoseconds, its own tolist() gives a bare number
            return plain(value.astype("datetime64[us]").item()) if not value.shape else None
        made = value.tolist() if kind in "biufOSU" else None
        return float(value) if kind == "f" and type(made).__module__ == "numpy" else made
    return None


def rows_of(documents: Any) -> tuple[Iterator[Any], bool] | None:
    """The rows of a table of pyarrow, polars or pandas, and ``True``; else an iterator and ``False``.

    ``None`` for what is no collection of documents.
    """
    module = type(documents).__module__.partition(".")[0]
    if module == "pandas" and hasattr(documents, "to_dict"):
        return _pandas_rows(documents), True
    if hasattr(documents, "iter_rows") and module == "polars":
        return documents.iter_rows(named=True), True
    if hasattr(documents, "read_next_batch"):
        return (row for batch in documents for row in _batch_rows(batch)), True
    if hasattr(documents, "to_batches"):
        return (row for batch in documents.to_batches() for row in _batch_rows(batch)), True
    if hasattr(documents, "to_pylist") and hasattr(documents, "schema"):
        return _batch_rows(documents), True
    if isinstance(documents, (str, bytes, Mapping)) or not isinstance(documents, Iterable):
        return None
    return iter(documents), False


def _batch_rows(batch: Any) -> Iterator[dict[str, Any]]:
    for start in range(0, batch.num_rows, _ROWS):
        yield from batch.slice(start, _ROWS).to_pylist()


def _pandas_rows(frame: Any) -> Iterator[dict[str, Any]]:
    import pandas

    def is_there(cell: Any) -> bool:
        """Missing cells are NaN, NaT or NA; a list or array is never missing."""
        return not pandas.api.types.is_scalar(cell) or not pandas.isna(cell)

    for start in range(0, len(frame), _ROWS):
        for row in frame.iloc[start : start + _ROWS].to_dict("records"):
            yield {str(name): cell for name, cell in row.items() if is_there(cell)}
