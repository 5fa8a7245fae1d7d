"""What the modules for LangChain, LlamaIndex and Haystack share."""

from __future__ import annotations

from typing import Any


def searching(**arguments: Any) -> dict[str, Any]:
    """Arguments of ``Engine.search`` without those that are left to the engine."""
    return {name: value for name, value in arguments.items() if value is not None}
