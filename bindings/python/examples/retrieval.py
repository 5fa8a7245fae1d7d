# %% [markdown]
# # Retrieval over a handful of documents
#
# The documentation of this project, as a collection to search: index it, ask, see why an answer is what it is, narrow
# it with filters, measure it, fuse runs, and use the vectors on their own. All of it happens in this process, offline.
#
# Editors such as VS Code run the cells one by one; `python retrieval.py` runs them all; `jupytext --to ipynb
# retrieval.py` makes a notebook.

# %%
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rag_core as rag

# %% [markdown]
# ## Documents
#
# Every section of the Markdown files is a document. A document has an `id`, a `text`, and if you like a `title` and
# `metadata` to filter by.

# %%
HERE = Path(__file__).resolve() if "__file__" in globals() else Path.cwd() / "notebook"
ROOT = next(folder for folder in HERE.parents if (folder / "ARCHITECTURE.md").exists())


def sections(path: Path) -> Iterator[dict[str, Any]]:
    """The sections of a Markdown file, each a document."""
    name = path.relative_to(ROOT).as_posix()
    for section in re.split(r"^#+ (?=\S)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        metadata = {"file": name, "folder": path.parent.name, "words": len(text.split()), "format": "markdown"}
        yield {"id": f"{name}#{title}", "title": title, "text": text.strip(), "metadata": metadata}


FILES = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
documents = [document for path in FILES for document in sections(path) if document["text"]]
print(f"{len(documents)} documents, such as {documents[0]['id']!r}")

# %% [markdown]
# ## Index
#
# Changes are staged and become visible together with `commit`. Long documents are cut into chunks, and every chunk is
# embedded by the bundled model. What has not changed is not embedded again.

# %%
folder = tempfile.TemporaryDirectory()
engine = rag.Engine.open(Path(folder.name) / "data")
print(engine.upsert(documents))
engine.commit()
print(engine.upsert(documents))  # the same once more
print(engine.stats())

# %% [markdown]
# ## Search
#
# In a notebook an answer is a table. Its hits are in order, best first, each with the passage that matched best.


# %%
def show(answer: rag.Answer) -> None:
    """The hits on a line each."""
    for hit in answer:
        print(f"  {hit.rank}. {hit.score:.3f}  {hit.id:50.50}  {' '.join(hit.text.split())[:60]}…")


answer = engine.search("what survives when the power fails during a commit", k=3)
show(answer)
answer  # noqa: B018

# %% [markdown]
# ## Explain
#
# Two retrievers answered, one by meaning (dense) and one by words (lexical), and their scores were fused. The
# contributions add up to the score.

# %%
best = engine.search("what survives when the power fails during a commit", k=1, explain=True)[0]
assert best.explain is not None  # since it was asked for
print(best.explain.fusion, best.explain.score)
for part in best.explain.runs:
    print(f"  {part.run}: rank {part.rank}, score {part.score:.3f}, adds {part.contribution:.3f}")

# %% [markdown]
# `explain` tells how any document fares, also one that is not among the hits.

# %%
print(engine.explain("what survives when the power fails", id="docs/scores.md#Ties"))

# %% [markdown]
# ## Filter
#
# A filter says which documents may be found; it is applied before anything is ranked.

# %%
show(engine.search("tests", k=2, filter={"eq": {"folder": "docs"}}))
short = {"and": [{"range": {"words": {"lt": 80}}}, {"ne": {"file": "docs/README.md"}}]}
show(engine.search("tests", k=2, filter=short))

# %% [markdown]
# A name that no document has is told, not passed over in silence.

# %%
print(engine.search("tests", filter={"eq": {"language": "en"}}).degraded)

# %% [markdown]
# ## Evaluate
#
# A few judgments say which documents answer a question, and how well (2 is better than 1). With them the retrievers can
# be measured, each alone and both together.

# %%
QRELS = {
    "which checks must pass before a change is merged": {"CONTRIBUTING.md#Lanes": 2, "CONTRIBUTING.md#Rules": 1},
    "where is the code of a part": {"ARCHITECTURE.md#Where is …": 2},
    "can I copy the folder as a backup": {"docs/design.md#The folder": 2},
    "what happens when a file on disk is damaged": {"docs/design.md#What is detected, and what verify does": 2},
    "only documents of a certain year or language": {"docs/filters.md#Filters": 2},
    "what if two documents have the same score": {"docs/scores.md#Ties": 2},
    "how are dense and lexical results combined": {"docs/scores.md#Fusion": 2, "docs/scores.md#The score contract": 1},
    "from which score on is a hit relevant": {"docs/scores.md#Thresholds": 2},
    "environment variables for settings": {"docs/shell.md#Variables": 2},
}
METRICS = ["ndcg@10", "mrr@10", "recall@5"]


def run_of(retrievers: list[str] | None) -> dict[str, dict[str, float]]:
    """The answers to all questions as a run: {question: {document: score}}."""
    answers = engine.search_many(QRELS, k=10, retrievers=retrievers)
    return {question: {hit.id: hit.score for hit in answer} for question, answer in zip(QRELS, answers, strict=True)}


runs = {"dense": run_of(["dense"]), "lexical": run_of(["lexical"]), "engine": run_of(None)}
for name, run in runs.items():
    print(f"{name:8}", {metric: round(value, 3) for metric, value in rag.evaluate(QRELS, run, METRICS).items()})

# %% [markdown]
# ## Fuse
#
# Runs from anywhere can be fused, by ranks (`rrf`) or by scores (`convex`), with weights.

# %%
runs["rrf"] = rag.fuse([runs["dense"], runs["lexical"]])
runs["convex"] = rag.fuse([runs["dense"], runs["lexical"]], method="convex", weights=[0.25, 0.75])
for name in ("rrf", "convex"):
    print(f"{name:8}", {metric: round(value, 3) for metric, value in rag.evaluate(QRELS, runs[name], METRICS).items()})

# %% [markdown]
# ## Vectors on their own
#
# The model and the vector index work without the engine: vectors are numpy arrays, ids are integers.

# %%
model = rag.Embedder.load()
vectors = model.encode([document["text"] for document in documents])
queries = model.encode(list(QRELS), kind="query")
print(model, vectors.shape, vectors.dtype)

index = rag.VectorIndex(model.dimension, metric="cosine")
index.add(np.arange(len(documents), dtype=np.uint64), vectors)
ids, scores = index.search(queries, k=3)
for question, row in zip(QRELS, ids, strict=True):
    print(f"  {question:50}  {documents[row[0]]['id']}")

# %% [markdown]
# It is exact: numpy finds the same.

# %%
assert np.allclose(scores, -np.sort(-(queries @ vectors.T), axis=1)[:, :3], atol=1e-5)

# %%
engine.close()
folder.cleanup()
