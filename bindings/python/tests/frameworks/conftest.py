"""What the tests of the three frameworks share."""

import doctest
import importlib
import os

import pytest
import rag_core as rag

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # which it reads when it is imported

DOCUMENTS = [
    {"id": "hours", "title": "Hours", "text": "The bakery opens at six in the morning.", "metadata": {"year": 2024}},
    {"id": "passes", "title": "Alps", "text": "Alpine passes close when the snow comes.", "metadata": {"year": 2023}},
    {"id": "bread", "text": "Rye bread is baked with sourdough.", "metadata": {"year": 2024, "tags": ["food", "rye"]}},
    {"id": "trains", "text": "The night train to the mountains leaves at ten.", "metadata": {"year": 2022}},
]


def pytest_configure(config):
    """The standard tests of LangChain and of Haystack have coroutines."""
    if hasattr(config.option, "asyncio_mode"):
        config.option.asyncio_mode = "auto"


@pytest.fixture
def engine(tmp_path):
    with rag.Engine.open(tmp_path / "data") as engine:
        engine.upsert(DOCUMENTS)
        engine.upsert([{"id": "hours", "text": "Another bakery, which opens at seven."}], tenant="other")
        engine.commit()
        yield engine


@pytest.fixture
def run_examples():
    """Runs the examples in the docstring of a module."""

    def run(name):
        result = doctest.testmod(importlib.import_module(name), raise_on_error=True)
        assert result.attempted > 8

    return run
