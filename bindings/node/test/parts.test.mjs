import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { Embedder, evaluate, fuse, learnFusion, VectorIndex } from "rag-core";

import { folder, ragError } from "./support.mjs";

const dot = (a, b) => a.reduce((sum, value, at) => sum + value * b[at], 0);
const near = (value, expected, tolerance = 1e-6) => assert.ok(Math.abs(value - expected) <= tolerance, `${value} is not ${expected}`);

/** The same numbers at every run, in [-1, 1). */
function numbers(count, seed = 1) {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const invalid = (message) => ragError("invalid_argument", message);

test("the bundled model embeds", async () => {
  const embedder = await Embedder.load();
  const { data, rows, dimension } = await embedder.encode(["bread and rolls", "a bakery", "winter passes", ""]);
  assert.deepEqual([rows, dimension, data.length], [4, embedder.dimension, 4 * embedder.dimension]);
  const row = (at) => data.subarray(at * dimension, (at + 1) * dimension);
  for (const at of [0, 1, 2]) near(dot(row(at), row(at)), 1, 1e-5);
  assert.ok(row(3).every((value) => value === 0));
  assert.ok(dot(row(0), row(1)) > dot(row(0), row(2)));
  assert.ok(embedder.name.length > 0 && embedder.maxTokens === undefined);
  await assert.rejects(embedder.encode(["x"], { kind: "other" }), ragError("invalid_argument", /`kind`/));
  await assert.rejects(embedder.encode(["x"], { batchTokens: 0 }), ragError("invalid_argument", /`batch_tokens`/));
  await assert.rejects(embedder.encode("x"), ragError("invalid_argument", "`texts` is a string; give an array of strings"));
  await assert.rejects(Embedder.load("no-such-model"), { code: "not_found" });
  await assert.rejects(Embedder.load(undefined, { device: "abacus" }), ragError("invalid_argument", /`device`/));
});

test("many texts are embedded in parts, with progress", async () => {
  const embedder = await Embedder.load();
  const texts = Array.from({ length: 2500 }, (_, i) => `text number ${i}`);
  const steps = [];
  const { data, dimension } = await embedder.encode(texts, { onProgress: (...step) => steps.push(step) });
  assert.deepEqual(steps, [[1024, 2500], [2048, 2500], [2500, 2500]]);
  for (const at of [0, 1023, 1024, 2499]) {
    const alone = (await embedder.encode([texts[at]])).data;
    assert.deepEqual(data.subarray(at * dimension, (at + 1) * dimension), alone);
  }
  assert.deepEqual(await embedder.encode([]), { data: new Float32Array(0), rows: 0, dimension });
  const mine = new Error("mine");
  const onProgress = () => { throw mine; };
  await assert.rejects(embedder.encode(texts, { onProgress }), (error) => error === mine);
});

for (const metric of ["cosine", "dot", "l2"]) {
  test(`the vector index is exact until it is built: ${metric}`, async (t) => {
    const [dimension, count] = [24, 500];
    const [base, queries] = [numbers(dimension * count), numbers(dimension * 20, 7)];
    const ids = BigUint64Array.from({ length: count }, (_, i) => BigInt(i) * 7919n);
    const index = new VectorIndex(dimension, { metric });
    await index.add(ids, base);
    const row = (values, at) => values.subarray(at * dimension, (at + 1) * dimension);
    const score = (q, x) => {
      if (metric === "dot") return dot(q, x);
      if (metric === "l2") return -q.reduce((sum, value, at) => sum + (value - x[at]) ** 2, 0);
      return dot(q, x) / Math.sqrt(dot(q, q) * dot(x, x));
    };
    const found = await index.search(queries, { k: 5 });
    assert.ok(found.ids instanceof BigUint64Array && found.scores instanceof Float32Array);
    for (let query = 0; query < 20; query += 1) {
      const scores = Array.from({ length: count }, (_, at) => [score(row(queries, query), row(base, at)), ids[at]]);
      const expected = scores.sort(([a], [b]) => b - a).slice(0, 5);
      assert.deepEqual([...found.ids.subarray(query * 5, query * 5 + 5)], expected.map(([, id]) => id));
      expected.forEach(([value], at) => near(found.scores[query * 5 + at], value, 1e-3));
    }
    const single = await index.search(row(queries, 0), { k: 5 });
    assert.deepEqual(single.ids, found.ids.slice(0, 5));
    const path = join(folder(t), "vectors");
    await index.save(path);
    const again = await VectorIndex.load(path);
    assert.deepEqual((await again.search(queries, { k: 5, threads: 2 })).ids, found.ids);
    assert.deepEqual([again.size, again.dimension], [count, dimension]);
    const allow = ids.slice(10, 13);
    const only = await index.search(queries.subarray(0, 2 * dimension), { k: 5, allow });
    assert.deepEqual([...only.ids.subarray(0, 3)].sort(), [...allow].sort());
    assert.deepEqual([only.ids[3], only.scores[3]], [2n ** 64n - 1n, -Infinity]);
    assert.equal((await index.search(row(queries, 0), { k: 5, allow })).ids.length, 3);
    assert.equal(await index.remove(ids.subarray(0, 2)), 2);
    assert.deepEqual([index.has(ids[0]), index.has(7919 * 2), index.size], [false, true, 498]);
  });
}

test("what the vector index cannot do is told", async (t) => {
  const unsupported = (message) => ragError("unsupported", message);
  assert.throws(() => new VectorIndex(4, { quantization: "int8" }), unsupported(/quantization/));
  await assert.rejects(new VectorIndex(4, { metric: "l2" }).build(), unsupported(/metric/));
  await assert.rejects(VectorIndex.load(join(folder(t), "x"), { mmap: true }), unsupported(/mmap/));
  const index = new VectorIndex(4);
  await assert.rejects(index.add(new BigUint64Array(2), new Float32Array(4)), invalid(/rows/));
  await assert.rejects(index.add([1n], new Float32Array(4)), invalid("`ids` is an Array; give a BigUint64Array"));
  await assert.rejects(index.add(new BigUint64Array(1), new Float64Array(4)), invalid(/`vectors` is a Float64Array/));
  await assert.rejects(index.add(new BigUint64Array([2n ** 64n - 1n]), numbers(4)), invalid(/stands for no neighbour/));
  await assert.rejects(index.search(new Float32Array(3)), invalid(/`query`/));
  await assert.rejects(index.search(numbers(4), { k: 0 }), invalid(/`k`/));
  assert.throws(() => new VectorIndex(0), invalid(/dimension/));
  assert.throws(() => new VectorIndex(2.5), invalid(/`dimension` is 2.5/));
  assert.throws(() => new VectorIndex("4"), invalid("`dimension` is a string; give a number"));
  assert.throws(() => new VectorIndex(4, { metric: "manhattan" }), invalid(/`metric`/));
  assert.throws(() => index.has(1.5), invalid(/`id` is 1.5/));
  assert.throws(() => index.has(2n ** 64n), invalid(/beyond 64 bits/));
  assert.throws(() => index.has(-1), invalid(/beyond 64 bits/));
});

test("a graph finds nearly all of the true neighbours", async () => {
  const [dimension, count] = [16, 6000];
  const base = numbers(dimension * count);
  const index = new VectorIndex(dimension, { threads: 2 });
  await index.add(BigUint64Array.from({ length: count }, (_, i) => BigInt(i)), base);
  const queries = numbers(dimension * 50, 3);
  const exact = await index.search(queries, { k: 10 });
  await index.build();
  const found = await index.search(queries, { k: 10, ef: 200 });
  const hits = Array.from({ length: 50 }, (_, q) => {
    const truth = new Set(exact.ids.subarray(q * 10, q * 10 + 10));
    return [...found.ids.subarray(q * 10, q * 10 + 10)].filter((id) => truth.has(id)).length;
  });
  assert.ok(hits.reduce((sum, count) => sum + count) >= 475, `recall ${hits}`);
});

test("a fusion is learnt and kept", async () => {
  const [good, poor] = [{ q: { a: 3, b: 2 }, p: { x: 1, y: 0.5 } }, { q: { b: 9, a: 1 }, p: { y: 4, x: 2 } }];
  const qrels = { q: { a: 1 }, p: { x: 1 } };
  const learned = await learnFusion([good, poor], qrels, { method: "map_fuse" });
  const fused = await fuse([good, poor], { method: JSON.parse(JSON.stringify(learned)) });
  assert.deepEqual([...fused.get("q").keys()], ["a", "b"]);
  const probable = await learnFusion([good, poor], qrels, { method: "sum", normalization: "platt" });
  for (const score of (await fuse([good, poor], { method: probable })).get("q").values()) assert.ok(score > 0 && score < 2);
  await assert.rejects(fuse([good, poor], { method: learned, weights: [1, 1] }), invalid(/give it alone/));
  await assert.rejects(fuse([good], { method: learned }), invalid(/learnt for 2 runs/));
  await assert.rejects(fuse([good], { method: 7 }), invalid(/`method`/));
  await assert.rejects(learnFusion([good], qrels, { method: "rrf" }), invalid(/nothing of/));
  await assert.rejects(learnFusion([good], qrels, {}), invalid(/`method`/));
});

test("runs are fused", async () => {
  const [first, second] = [{ q: { a: 2, b: 1 } }, { q: { b: 9 }, other: { 7: 2, 10: 3 } }];
  const fused = await fuse([first, second]);
  assert.deepEqual([...fused.get("q").keys()], ["b", "a"]);
  near(fused.get("q").get("b"), 1 / 62 + 1 / 61, 1e-7);
  assert.deepEqual([...fused.get("other").keys()], ["10", "7"]);
  const convex = await fuse([first, new Map(Object.entries(second))], { method: "convex", weights: [0.25, 0.75] });
  near(convex.get("q").get("b"), 0.75);
  near(convex.get("q").get("a"), 0.25);
  assert.deepEqual(await fuse([]), new Map());
  await assert.rejects(fuse([first, second], { weights: [1] }), invalid(/`weights` has 1 values for 2 runs/));
  await assert.rejects(fuse([first], { method: "median" }), invalid(/`method`/));
  await assert.rejects(fuse([first], { k: "60" }), invalid("`k` is a string; give a number"));
  await assert.rejects(fuse([7]), invalid(/a run is no object/));
  await assert.rejects(fuse([{ q: [1] }]), invalid(/a run, query "q" is no object/));
  await assert.rejects(fuse([{ q: { a: "1" } }]), invalid(/query "q": the score of "a" is no number/));
  await assert.rejects(fuse([{ q: { a: NaN } }]), invalid(/query "q"/));
});

test("rankings are measured", async () => {
  const [qrels, run] = [{ q: { a: 1, b: 0 }, missing: { a: 1 } }, { q: { a: 1, b: 2 } }];
  const means = await evaluate(qrels, run, ["ndcg@10", "map", "mrr", "recall@100", "precision@5"]);
  const expected = { "ndcg@10": 0.6309297 / 2, map: 0.25, mrr: 0.25, "recall@100": 0.5, "precision@5": 0.1 };
  assert.deepEqual(Object.keys(means), Object.keys(expected));
  for (const [name, value] of Object.entries(expected)) near(means[name], value);
  assert.deepEqual(await evaluate(qrels, run, ["mrr"], { missing: "skip" }), { mrr: 0.5 });
  const each = await evaluate(qrels, run, ["mrr"], { perQuery: true });
  assert.deepEqual(each.get("q"), { mrr: 0.5 });
  await assert.rejects(evaluate(qrels, run, ["bogus"]), invalid(/bogus/));
  await assert.rejects(evaluate({ q: { a: 1.5 } }, run, ["map"]), invalid(/1.5 is no grade/));
  await assert.rejects(evaluate(qrels, 7, ["map"]), invalid(/`run` is no object/));
  await assert.rejects(evaluate(qrels, run, "map"), invalid(/`metrics` is a string/));
});
