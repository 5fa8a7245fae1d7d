"""Embedder, vector index, fusion and evaluation on their own."""

import json

import numpy as np
import pytest
import rag_core as rag


def test_the_bundled_model_embeds():
    embedder = rag.Embedder.load()
    vectors = embedder.encode(["bread and rolls", "a bakery", "winter passes", ""])
    assert vectors.shape == (4, embedder.dimension) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors[:3], axis=1), 1, atol=1e-6) and not vectors[3].any()
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    with pytest.raises(rag.InvalidArgument, match="`kind`"):
        embedder.encode(["x"], kind="other")
    with pytest.raises(rag.InvalidArgument, match="`batch_tokens`"):
        embedder.encode(["x"], batch_tokens=0)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_the_vector_index_is_exact_until_it_is_built(metric, tmp_path):
    rng = np.random.default_rng(1)
    base, queries = rng.standard_normal((500, 24), np.float32), rng.standard_normal((20, 24), np.float32)
    ids = np.arange(500, dtype=np.uint64) * 7919
    index = rag.VectorIndex(24, metric=metric)
    index.add(ids, base)
    if metric == "cosine":
        scores = queries @ base.T / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(base, axis=1)
    elif metric == "dot":
        scores = queries @ base.T
    else:
        scores = -((queries[:, None] - base[None]) ** 2).sum(-1)
    expected = np.argsort(-scores, axis=1)[:, :5]
    found, given = index.search(queries, k=5)
    assert found.dtype == np.uint64 and given.dtype == np.float32
    assert (found == ids[expected]).all()
    assert np.allclose(given, np.take_along_axis(scores, expected, 1), atol=1e-3)
    single, _ = index.search(queries[0], k=5)
    assert (single == found[0]).all()
    index.save(tmp_path / "vectors")
    again = rag.VectorIndex.load(tmp_path / "vectors")
    assert (again.search(queries, k=5)[0] == found).all() and len(again) == 500
    allow = ids[10:13]
    only, score = index.search(queries[:2], k=5, allow=allow)
    assert set(only[0, :3]) == set(allow) and only[0, 3] == 2**64 - 1 and np.isneginf(score[0, 3])
    assert index.remove(ids[:2]) == 2 and int(ids[0]) not in index and len(index) == 498


def test_what_the_vector_index_lacks_is_unsupported(tmp_path):
    with pytest.raises(NotImplementedError, match="quantization"):
        rag.VectorIndex(4, quantization="int8")
    with pytest.raises(rag.Unsupported, match="metric"):
        rag.VectorIndex(4, metric="l2").build()
    with pytest.raises(rag.Unsupported, match="mmap"):
        rag.VectorIndex.load(tmp_path / "x", mmap=True)
    with pytest.raises(rag.InvalidArgument, match="rows"):
        rag.VectorIndex(4).add([1, 2], np.zeros((1, 4)))


def test_a_fusion_is_learnt_and_kept():
    good = {"q": {"a": 3.0, "b": 2.0}, "p": {"x": 1.0, "y": 0.5}}
    poor = {"q": {"b": 9.0, "a": 1.0}, "p": {"y": 4.0, "x": 2.0}}
    qrels = {"q": {"a": 1}, "p": {"x": 1}}
    learned = rag.learn_fusion([good, poor], qrels, "map_fuse")
    kept = json.loads(json.dumps(learned))
    assert list(rag.fuse([good, poor], kept)["q"]) == ["a", "b"]
    probable = rag.learn_fusion([good, poor], qrels, "sum", normalization="platt")
    assert all(0 < score < 2 for score in rag.fuse([good, poor], method=probable)["q"].values())
    with pytest.raises(rag.InvalidArgument, match="give it alone"):
        rag.fuse([good, poor], learned, weights=[1.0, 1.0])
    with pytest.raises(rag.InvalidArgument, match="learnt for 2 runs"):
        rag.fuse([good], learned)
    with pytest.raises(rag.InvalidArgument, match="`method`"):
        rag.fuse([good], {"method": object()})
    with pytest.raises(rag.InvalidArgument, match="nothing of"):
        rag.learn_fusion([good], qrels, "rrf")


def test_runs_are_fused():
    first, second = {"q": {"a": 2.0, "b": 1.0}}, {"q": {"b": 9.0}, "other": {"c": 1.0}}
    fused = rag.fuse([first, second])
    assert list(fused["q"]) == ["b", "a"] and fused["q"]["b"] == pytest.approx(1 / 62 + 1 / 61)
    assert fused["other"] == {"c": pytest.approx(1 / 61)}
    convex = rag.fuse([first, second], method="convex", weights=[0.25, 0.75])
    assert convex["q"] == {"b": pytest.approx(0.75), "a": pytest.approx(0.25)}
    with pytest.raises(rag.InvalidArgument, match="`weights` has 1 values for 2 runs"):
        rag.fuse([first, second], weights=[1.0])
    with pytest.raises(rag.InvalidArgument, match="`method`"):
        rag.fuse([first], method="median")


def test_rankings_are_measured():
    qrels, run = {"q": {"a": 1, "b": 0}, "missing": {"a": 1}}, {"q": {"a": 1.0, "b": 2.0}}
    means = rag.evaluate(qrels, run, ["ndcg@10", "map", "mrr", "recall@100", "precision@5"])
    assert means == pytest.approx(
        {"ndcg@10": 0.6309297 / 2, "map": 0.25, "mrr": 0.25, "recall@100": 0.5, "precision@5": 0.1}
    )
    assert rag.evaluate(qrels, run, ["mrr"], missing="skip") == {"mrr": 0.5}
    assert rag.evaluate(qrels, run, ["mrr"], per_query=True)["q"] == {"mrr": 0.5}
    with pytest.raises(ValueError, match="bogus"):
        rag.evaluate(qrels, run, ["bogus"])
