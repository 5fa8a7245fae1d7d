"""One class for each kind of error, below :class:`RagError` and the standard class that fits."""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "Cancelled",
    "Conflict",
    "Corruption",
    "DeadlineExceeded",
    "Internal",
    "InvalidArgument",
    "ModelMismatch",
    "NotFound",
    "PermissionDenied",
    "RagError",
    "RateLimited",
    "ResourceExhausted",
    "SchemaMismatch",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
]


class RagError(Exception):
    """Whatever the engine reports. ``kind`` is its stable name, ``context`` holds named facts."""

    kind: ClassVar[str] = "internal"
    context: dict[str, str]

    def __init__(self, message: str = "", context: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.context = dict(context or {})

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[RagError], tuple[str, dict[str, str]]]:
        return type(self), (self.message, self.context)


class InvalidArgument(RagError, ValueError):
    """Something that can never work was passed; the message names the field and the way out."""

    kind = "invalid_argument"


class NotFound(RagError, KeyError):
    """The named document, file or model does not exist."""

    kind = "not_found"


class PermissionDenied(RagError, PermissionError):
    """The scope of the call, or the system, does not allow it."""

    kind = "permission_denied"


class Unauthenticated(RagError, PermissionError):
    """The caller is not known."""

    kind = "unauthenticated"


class RateLimited(RagError):
    """Too many calls; try again later."""

    kind = "rate_limited"


class Conflict(RagError):
    """Someone else holds what the call needs."""

    kind = "conflict"


class SchemaMismatch(RagError, ValueError):
    """A feature schema differs from the one that a model was made with."""

    kind = "schema_mismatch"


class ModelMismatch(RagError, ValueError):
    """The data was embedded by another model than the one given."""

    kind = "model_mismatch"


class Corruption(RagError):
    """Bytes on disk are not what was written."""

    kind = "corruption"


class Unsupported(RagError, NotImplementedError):
    """This build or backend cannot do it."""

    kind = "unsupported"


class ResourceExhausted(RagError, OSError):
    """Disk, memory or a configured limit is exhausted."""

    kind = "resource_exhausted"


class DeadlineExceeded(RagError, TimeoutError):
    """The deadline of the call passed."""

    kind = "deadline_exceeded"


class Cancelled(RagError):
    """The caller cancelled the call."""

    kind = "cancelled"


class Unavailable(RagError, ConnectionError):
    """A needed service or device does not answer; a later try may succeed."""

    kind = "unavailable"


class Internal(RagError, RuntimeError):
    """A defect of this software, or an unexplained failure of the system under it."""

    kind = "internal"
