"""Embeddable retrieval engine: embedding, retrieval, fusion, learning to rank and evaluation in your own process.

>>> import rag_core as rag
>>> engine = rag.Engine.open("data")                      # doctest: +SKIP
>>> engine.upsert([{"id": "a", "text": "The bakery opens at six."}])      # doctest: +SKIP
>>> engine.commit()                                       # doctest: +SKIP
>>> engine.search("when does the bakery open")[0].id      # doctest: +SKIP
'a'
"""

import os as _os

from rag_core import _rag_core
from rag_core._rag_core import (
    Answer,
    Chunk,
    ClickLog,
    Embedder,
    Engine,
    Explanation,
    FeatureExplanation,
    FeatureLog,
    FeatureSchema,
    Gate,
    Hit,
    LtrExplanation,
    Ranker,
    RunExplanation,
    Served,
    Stats,
    UpsertReport,
    VectorIndex,
    VerifyReport,
    evaluate,
    fuse,
    learn_fusion,
)
from rag_core.errors import *  # noqa: F403
from rag_core.errors import __all__ as _errors

__all__ = [
    "Answer",
    "Chunk",
    "ClickLog",
    "Embedder",
    "Engine",
    "Explanation",
    "FeatureExplanation",
    "FeatureLog",
    "FeatureSchema",
    "Gate",
    "Hit",
    "LtrExplanation",
    "Ranker",
    "RunExplanation",
    "Served",
    "Stats",
    "UpsertReport",
    "VectorIndex",
    "VerifyReport",
    "evaluate",
    "fuse",
    "learn_fusion",
]
__all__ += _errors

if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(
        before=_rag_core.before_fork,
        after_in_parent=_rag_core.after_fork,
        after_in_child=_rag_core.after_fork,
    )
