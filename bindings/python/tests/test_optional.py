"""The package needs no framework; the modules for one say what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import rag_core

FRAMEWORKS = {
    "langchain": ("langchain_core", "langchain-core"),
    "llama_index": ("llama_index", "llama-index-core"),
    "haystack": ("haystack", "haystack-ai"),
    "sklearn": ("sklearn", "scikit-learn"),
}


def python(program):
    """Runs a program in a process of its own, with the package that is tested here."""
    place = str(Path(rag_core.__file__).parent.parent)
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": place})


def test_the_package_imports_no_framework():
    packages = {package for package, _ in FRAMEWORKS.values()}
    python(f"import sys, rag_core; assert not {packages!r} & set(sys.modules), sys.modules")


@pytest.mark.parametrize("module", FRAMEWORKS)
def test_a_module_says_what_to_install(module):
    package, name = FRAMEWORKS[module]
    extra = module.replace("_", "-")
    python(f"""
import importlib, sys
sys.modules[{package!r}] = None
try:
    importlib.import_module("rag_core.{module}")
except ImportError as error:
    assert str(error) == "rag_core.{module} needs {name}: pip install 'rag-core[{extra}]'", error
else:
    raise AssertionError("imported without {package}")
""")
