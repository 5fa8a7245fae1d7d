"""Embeddable retrieval engine: embedding, dense and lexical retrieval, fusion and evaluation in your own process.

>>> import rag_core as rag
>>> engine = rag.Engine.open("data")                      # doctest: +SKIP
>>> engine.upsert([{"id": "a", "text": "The bakery opens at six."}])      # doctest: +SKIP
>>> engine.commit()                                       # doctest: +SKIP
>>> engine.search("when does the bakery open")[0].id      # doctest: +SKIP
'a'
"""

from rag_core._rag_core import (
    Answer,
    Chunk,
    Embedder,
    Engine,
    Explanation,
    Hit,
    RunExplanation,
    Stats,
    UpsertReport,
    VectorIndex,
    VerifyReport,
    evaluate,
    fuse,
)
from rag_core.errors import (
    Cancelled,
    Conflict,
    Corruption,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    ModelMismatch,
    NotFound,
    PermissionDenied,
    RagError,
    RateLimited,
    ResourceExhausted,
    SchemaMismatch,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

__all__ = [
    "Answer",
    "Cancelled",
    "Chunk",
    "Conflict",
    "Corruption",
    "DeadlineExceeded",
    "Embedder",
    "Engine",
    "Explanation",
    "Hit",
    "Internal",
    "InvalidArgument",
    "ModelMismatch",
    "NotFound",
    "PermissionDenied",
    "RagError",
    "RateLimited",
    "ResourceExhausted",
    "RunExplanation",
    "SchemaMismatch",
    "Stats",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "UpsertReport",
    "VectorIndex",
    "VerifyReport",
    "evaluate",
    "fuse",
]
