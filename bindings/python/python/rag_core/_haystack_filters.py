"""Filters of Haystack as filters of the engine."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from haystack import Document
from haystack.errors import FilterError

#: Fields of a document that are no metadata; the engine filters by metadata alone.
_OWN_FIELDS = {field.name for field in dataclasses.fields(Document)}

#: The other bound of a range over dates that are text, so that only text which begins with a digit lies in it.
_BOUNDS = {">": ("gt", "lt", ":"), ">=": ("gte", "lt", ":"), "<": ("lt", "gte", "0"), "<=": ("lte", "gte", "0")}

_NOTHING: dict[str, Any] = {"or": []}


def translate(filters: dict[str, Any] | None) -> dict[str, Any] | None:
    """The filter of the engine that holds for the same documents; None for no filter.

    Raises FilterError for what is malformed, and for what the engine cannot say.
    """
    return _condition(filters) if filters else None


def wanted_ids(filters: dict[str, Any] | None) -> list[str] | None:
    """The ids, if the filter is a comparison of ``id`` with ``==`` or ``in`` and nothing else."""
    if not filters or filters.get("field") != "id":
        return None
    operator, value = filters.get("operator"), filters.get("value")
    if operator == "==" and isinstance(value, str):
        return [value]
    if operator == "in" and isinstance(value, list):
        return [one for one in value if isinstance(one, str)]
    return None


def _condition(condition: Any) -> dict[str, Any]:
    if not isinstance(condition, dict):
        raise FilterError(f"a filter is a {type(condition).__name__}; give a dictionary")
    if "field" in condition:
        return _comparison(condition)
    _need(condition, "operator", "conditions")
    operator, conditions = condition["operator"], [_condition(one) for one in condition["conditions"]]
    if operator == "AND":
        return {"and": conditions}
    if operator == "OR":
        return {"or": conditions}
    if operator == "NOT":
        return {"not": {"and": conditions}}
    raise FilterError(f"unknown logical operator {operator!r}; there are AND, OR and NOT")


def _comparison(condition: dict[str, Any]) -> dict[str, Any]:
    _need(condition, "operator", "value")
    field, operator, value = _field(condition["field"]), condition["operator"], condition["value"]
    if operator == "==":
        return _equal(field, [value])
    if operator == "!=":
        return {"not": _equal(field, [value])}
    if operator in _BOUNDS:
        return _ordered(field, operator, value)
    if operator in ("in", "not in"):
        if not isinstance(value, list):
            raise FilterError(f"`{operator}` of `{field}` needs a list, not a {type(value).__name__}")
        within = _equal(field, value)
        return within if operator == "in" else {"not": within}
    raise FilterError(f"unknown operator {operator!r} of `{field}`; there are ==, !=, >, >=, <, <=, in and not in")


def _need(condition: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if key not in condition:
            raise FilterError(f"`{key}` is missing in {condition}")


def _field(name: Any) -> str:
    if not isinstance(name, str):
        raise FilterError(f'`field` is a {type(name).__name__}; give a string such as "meta.year"')
    if name in _OWN_FIELDS:
        raise FilterError(f'the engine filters by metadata, and `{name}` is none; give a field such as "meta.year"')
    return name.removeprefix("meta.")


def _equal(field: str, values: list[Any]) -> dict[str, Any]:
    """The field has one of the values; None is a field that is not there."""
    wanted = [form for value in values if value is not None for form in _forms(field, value)]
    within = {"in": {field: wanted}}
    if None not in values:
        return within
    missing = {"not": {"exists": field}}
    return {"or": [within, missing]} if wanted else missing


def _ordered(field: str, operator: str, value: Any) -> dict[str, Any]:
    side, other, bound = _BOUNDS[operator]
    if value is None:
        return _NOTHING
    if isinstance(value, (str, datetime.date)):
        moment = _moment(value)
        if moment is None:
            raise FilterError(f"`{operator}` of `{field}` compares with {value!r}; give a number or an ISO date")
        aware, naive = _written(moment)
        return {"or": [{"range": {field: {side: aware}}}, {"range": {field: {side: naive, other: bound}}}]}
    return {"range": {field: {side: _single(field, value)}}}


def _forms(field: str, value: Any) -> list[Any]:
    """The value in every way that metadata may have it."""
    moment = _moment(value) if isinstance(value, (str, datetime.date)) else None
    written = list(_written(moment)) if moment else []
    return written if isinstance(value, datetime.date) else [_single(field, value), *written]


def _single(field: str, value: Any) -> Any:
    if isinstance(value, (str, int, float)) or type(value).__module__ == "numpy":
        return value
    raise FilterError(f"`{field}` is compared with a {type(value).__name__}; give a string, number, boolean or date")


def _moment(value: str | datetime.date) -> datetime.datetime | None:
    """The moment of an ISO date, which is of UTC where it has no offset; None for other text."""
    text = value if isinstance(value, str) else value.isoformat()
    if text[4:5] != "-" or text[7:8] != "-":
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


def _written(moment: datetime.datetime) -> tuple[str, str]:
    """With an offset, as the engine compares moments, and without, as text that sorts by time."""
    utc = moment.astimezone(datetime.timezone.utc)
    return utc.isoformat(), utc.replace(tzinfo=None).isoformat()
