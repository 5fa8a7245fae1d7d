"""The cases of ``bindings/parity`` through Python; see the README there."""

import datetime
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import rag_core as rag

FOLDER = Path(__file__).parents[2] / "parity"
CASES = json.loads((FOLDER / "cases.json").read_text("utf-8"))
#: What Rust gave on this machine, to be met exactly; else what it gave when it was blessed, to be met nearly.
HERE = os.environ.get("RAG_PARITY")
EXPECTED = json.loads(Path(HERE or FOLDER / "expected.json").read_text("utf-8"))


class State:
    """What the steps share."""

    def __init__(self, folder):
        self.folder, self.engine, self.embedder, self.index = folder, None, None, None
        self.ranker, self.schema, self.log, self.bytes, self.clicks, self.gate = None, None, None, None, None, None

    def call(self, name, arguments):
        kind, _, method = name.rpartition(".")
        if not kind:
            return {"fuse": fuse, "evaluate": rag.evaluate, "learn_fusion": rag.learn_fusion}[method](**arguments)
        runners = {
            "Engine": self.of_engine,
            "Embedder": self.of_embedder,
            "VectorIndex": self.of_index,
            "FeatureSchema": self.of_schema,
            "FeatureLog": self.of_log,
            "Ranker": self.of_ranker,
            "ClickLog": self.of_clicks,
            "Gate": self.of_gate,
        }
        return runners[kind](method, dict(arguments))

    def of_engine(self, method, arguments):
        if method == "open":
            config = arguments.get("config") and self.folder / "config.toml"
            if config:
                config.write_text(arguments["config"], "utf-8")
            functions = {f"my.{field}": numbers_of(field) for field in arguments.get("functions", [])}
            self.engine = rag.Engine.open(self.folder / "data", config=config, feature_functions=functions)
            return None
        if method == "log_features":
            now = (
                datetime.datetime.fromtimestamp(arguments.pop("now"), datetime.timezone.utc)
                if "now" in arguments
                else None
            )
            self.log = self.engine.log_features(**arguments, now=now)
            return None
        if method == "set_ranker":
            arguments["ranker"] = self.ranker if arguments["ranker"] else None
        if method == "gate":
            self.gate = self.engine.gate
            return None
        if method == "ranker":
            return self.engine.ranker and self.engine.ranker == self.ranker
        vector = arguments.get("vector")
        if isinstance(vector, dict):
            arguments["vector"] = rag.Embedder.load().encode([vector["of"]], kind="query")[0]
        found = getattr(self.engine, method)
        found = found(**arguments) if callable(found) else found
        if method == "stats":
            ours = ("bytes_", "feature_cache_")
            return {name: value for name, value in plain(found).items() if not name.startswith(ours)}
        if method == "feature_schema":
            self.schema = found
        return plain(found)

    def of_gate(self, method, arguments):
        if method == "open":
            key = self.folder / "gate-key"
            key.write_text(arguments["key"])
            self.gate = rag.Gate.open(self.folder / "data", key_file=key)
            return None
        return stripped(getattr(self.gate, method)(**arguments))

    def of_embedder(self, method, arguments):
        if method == "load":
            self.embedder = rag.Embedder.load(**arguments)
            return None
        found = getattr(self.embedder, method)
        return plain(found(**arguments) if callable(found) else found)

    def of_index(self, method, arguments):
        if "path" in arguments:
            arguments["path"] = self.folder / arguments["path"]
        if method == "new":
            self.index = rag.VectorIndex(**arguments)
        elif method == "load":
            self.index = rag.VectorIndex.load(**arguments)
        elif method == "len":
            return len(self.index)
        elif method == "contains":
            return int(arguments["id"]) in self.index
        elif method == "dim":
            return self.index.dim
        else:
            for name in ("ids", "allow"):
                if name in arguments:
                    arguments[name] = np.array([int(one) for one in arguments[name]], np.uint64)
            found = getattr(self.index, method)(**arguments)
            if method == "search":
                return {"ids": strings(found[0].tolist()), "scores": plain(found[1])}
            return found
        return None

    def of_schema(self, method, arguments):
        assert method == "new"
        self.schema = rag.FeatureSchema(**arguments)
        return plain(self.schema)

    def of_log(self, method, arguments):
        if method == "len":
            return len(self.log)
        if method == "to_svmlight":
            path = self.folder / arguments.pop("path")
            self.log.to_svmlight(path, **arguments)
            return path.read_text("utf-8")
        found = getattr(self.log, method)
        return plain(found(**arguments) if callable(found) else found)

    def of_clicks(self, method, arguments):
        if method == "load":
            path = self.folder / "clicks.jsonl"
            path.write_text(arguments["text"], "utf-8")
            self.clicks = rag.ClickLog.load(path)
            return None
        if method == "len":
            return len(self.clicks)
        if method == "training":
            arguments["log"] = self.log
        found = getattr(self.clicks, method)
        return plain(found(**arguments) if callable(found) else found)

    def of_ranker(self, method, arguments):
        if "path" in arguments:
            arguments["path"] = self.folder / arguments["path"]
        if arguments.get("schema"):
            arguments["schema"] = self.schema
        if "X" in arguments:
            arguments["X"] = np.array(arguments["X"], np.float32).reshape(
                len(arguments["X"]), -1 if arguments["X"] else 1
            )
        if arguments.pop("log", False):
            qrels = arguments.pop("qrels")
            arguments |= {"X": self.log.X, "y": self.log.labels(qrels), "group": self.log.group}
        if method in ("train", "train_linear", "load"):
            self.ranker = getattr(rag.Ranker, method)(**arguments)
        elif method == "from_bytes":
            self.ranker = rag.Ranker.from_bytes(arguments["text"].encode() if arguments else self.bytes)
        elif method == "to_bytes":
            self.bytes = self.ranker.to_bytes(**arguments)
        else:
            found = getattr(self.ranker, method)
            return plain(found(**arguments) if callable(found) else found)
        return None


def numbers_of(field):
    """A feature function: the number that stands in a field of the metadata."""

    def of(_, documents):
        given = (document["metadata"].get(field) for document in documents)
        return [value if isinstance(value, (int, float)) and not isinstance(value, bool) else None for value in given]

    return of


def stripped(value):
    """Without what is another each time."""
    if isinstance(value, list):
        return [stripped(one) for one in value]
    if isinstance(value, dict):
        return {name: stripped(one) for name, one in value.items() if name not in ("at_us", "key")}
    return value


def fuse(**arguments):
    return [[query, [list(pair) for pair in scores.items()]] for query, scores in rag.fuse(**arguments).items()]


def strings(ids):
    return [strings(one) if isinstance(one, list) else str(one) for one in ids]


def plain(value):
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return "-inf" if value == -math.inf else value


def told(state, step):
    arguments = {name: CASES["documents"] if value == "$documents" else value for name, value in step["with"].items()}
    try:
        return {"result": state.call(step["call"], arguments)}
    except rag.RagError as error:
        return {"error": {"kind": error.kind, "message": str(error).replace(f"{state.folder}/", "")}}


def alike(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, float) and isinstance(b, (int, float)) and not HERE:
        return a == pytest.approx(b, rel=1e-5, abs=1e-5)
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def test_python_gives_what_rust_gives(tmp_path):
    state = State(tmp_path)
    for step in CASES["steps"]:
        if "python" not in step.get("only", ["python"]):
            continue
        ours = told(state, step)
        if step["name"] in EXPECTED:
            assert alike(ours, EXPECTED[step["name"]]), (step["name"], ours, EXPECTED[step["name"]])
        else:
            assert ours == {"error": step["expect"]}, (step["name"], ours)


def test_everything_public_has_a_step():
    special = {"__len__": "len", "__contains__": "contains", "__new__": "new"}
    public = {name for name in ("fuse", "evaluate") if hasattr(rag, name)}
    kinds = (rag.Engine, rag.Embedder, rag.VectorIndex, rag.FeatureLog, rag.Ranker, rag.ClickLog, rag.Gate)
    for kind in kinds:
        names = {special.get(name, name) for name in vars(kind)}
        public |= {f"{kind.__name__}.{name}" for name in names if not name.startswith("_")}
    values = {"Answer", "Chunk", "Explanation", "FeatureExplanation", "Hit", "LtrExplanation", "RunExplanation"}
    values |= {"FeatureSchema", "Served", "Stats", "UpsertReport", "VerifyReport"}
    classes = {name for name in rag.__all__ if isinstance(getattr(rag, name), type)}
    errors = {name for name in classes if issubclass(getattr(rag, name), rag.RagError)}
    assert classes - errors - values == {kind.__name__ for kind in kinds}, "a new class needs steps"
    functions = {name for name in rag.__all__ if name not in classes}
    assert functions == {"fuse", "evaluate", "learn_fusion"}, "a new function needs steps"
    called = {step["call"] for step in CASES["steps"]} | CASES["exempt"].keys()
    assert public - called == set(), "these have neither a step nor an exemption in bindings/parity/cases.json"
