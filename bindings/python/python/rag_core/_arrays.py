"""What arrays may come as, made plain for the native module, which reads them in place."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_core.errors import InvalidArgument


def ids(values: Any, name: str) -> npt.NDArray[np.uint64]:
    """One-dimensional, uint64, without a copy where it is that already."""
    try:
        given = np.asarray(values)
        if given.dtype.kind in "Of" and not isinstance(values, np.ndarray):
            # Small and very large integers together have no common type of their own.
            given = np.array([operator.index(value) for value in values], dtype=np.uint64)
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidArgument(f"`{name}` is no array of ids; give integers from 0 to 2⁶⁴ − 2") from error
    if given.ndim != 1:
        raise InvalidArgument(f"`{name}` has {given.ndim} dimensions; give one")
    if given.size == 0:
        return np.empty(0, dtype=np.uint64)
    if given.dtype.kind not in "ui":
        raise InvalidArgument(f"`{name}` is an array of {given.dtype}; give integers from 0 to 2⁶⁴ − 2")
    if given.dtype.kind == "i" and given.min() < 0:
        raise InvalidArgument(f"`{name}` has {given.min()}; give integers from 0 to 2⁶⁴ − 2")
    return np.require(given, dtype=np.uint64, requirements=["C", "A"])


def rows(values: Any, name: str, dim: int, *, may_be_one: bool = False) -> npt.NDArray[np.float32]:
    """Of shape (n, dim), or (dim,) where that is allowed; float32, without a copy where it is that already."""
    wanted = f"give an array of shape (n, {dim})" + (f" or ({dim},)" if may_be_one else "")
    try:
        given = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"`{name}` is no array of numbers; {wanted}") from error
    if given.size == 0 and given.ndim == 1 and not may_be_one:
        return np.empty((0, dim), dtype=np.float32)
    if given.dtype.kind not in "fiu":
        raise InvalidArgument(f"`{name}` is an array of {given.dtype}, not of numbers; {wanted}")
    if given.ndim == 1 and may_be_one:
        if given.shape[0] != dim:
            raise InvalidArgument(f"`{name}` has {given.shape[0]} values; the index has dimension {dim}")
    elif given.ndim != 2:
        raise InvalidArgument(f"`{name}` has {given.ndim} dimensions; {wanted}")
    elif given.shape[1] != dim:
        raise InvalidArgument(f"`{name}` has rows of {given.shape[1]} values; the index has dimension {dim}")
    return np.require(given, dtype=np.float32, requirements=["C", "A"])


def table(values: Any, name: str) -> npt.NDArray[np.float32]:
    """Of shape (n, d); float32, without a copy where it is that already. ``None`` and NA are NaN."""
    given = _floats(values, name, "give an array of shape (n, d)")
    if given.ndim != 2:
        raise InvalidArgument(f"`{name}` has {given.ndim} dimensions; give an array of shape (n, d)")
    return given


def numbers(values: Any, name: str) -> npt.NDArray[np.float32]:
    """One-dimensional, float32, without a copy where it is that already."""
    given = _floats(values, name, "give one number a row")
    if given.ndim != 1:
        raise InvalidArgument(f"`{name}` has {given.ndim} dimensions; give one number a row")
    return given


def counts(values: Any, name: str) -> list[int]:
    """Whole numbers from 0 on."""
    given = np.asarray(values)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "ui") or (given.size and given.min() < 0):
        raise InvalidArgument(f"`{name}` is no array of counts; give whole numbers of at least 0")
    made: list[int] = given.tolist()
    return made


def _floats(values: Any, name: str, wanted: str) -> npt.NDArray[np.float32]:
    try:
        if type(values).__module__.partition(".")[0] == "pandas":
            values = values.to_numpy(dtype=np.float32, na_value=np.nan)
        given = np.asarray(values)
        if given.dtype.kind in "fiubO":
            with np.errstate(over="ignore"):
                return np.require(given, dtype=np.float32, requirements=["C", "A"])
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"`{name}` is no array of numbers; {wanted}") from error
    raise InvalidArgument(f"`{name}` is an array of {given.dtype}, not of numbers; {wanted}")
