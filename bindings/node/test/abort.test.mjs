import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Embedder, Engine, VectorIndex } from "rag-core";

import { folder } from "./support.mjs";

const long = Array.from({ length: 300 }, (_, i) => `word${i}`).join(" ");
const many = (count) => Array.from({ length: count }, (_, i) => ({ id: `${i}`, text: `${i} ${long}` }));

async function opened(t) {
  let engine;
  t.after(() => engine?.close());
  return (engine = await Engine.open(join(folder(t), "data")));
}

test("a call under a signal that is aborted already does nothing", async (t) => {
  const engine = await opened(t);
  const reason = { mine: true };
  const signal = AbortSignal.abort(reason);
  const index = new VectorIndex(2);
  const embedder = await Embedder.load();
  const calls = [
    () => engine.upsert(many(1), { signal }),
    () => engine.search("x", { signal }),
    () => engine.searchMany(["x"], { signal }),
    () => embedder.encode(["x"], { signal }),
    () => index.build({ signal }),
    () => index.search(new Float32Array([1, 0]), { signal }),
  ];
  for (const call of calls) await assert.rejects(call, (error) => error === reason);
  assert.equal((await engine.stats()).documents, 0);
});

test("aborting stops an upsert of an array: nothing of it is staged", async (t) => {
  const engine = await opened(t);
  const stop = new AbortController();
  const begin = performance.now();
  const upsert = engine.upsert(many(20_000), { signal: stop.signal });
  setTimeout(() => stop.abort(), 300);
  await assert.rejects(upsert, (error) => error === stop.signal.reason && error.name === "AbortError");
  const stopped = performance.now() - begin;
  await engine.commit();
  assert.equal((await engine.stats()).documents, 0);
  assert.ok(stopped < 5000, `stopped after ${stopped} ms`);
});

test("aborting ends the wait for an iterator that never comes", async (t) => {
  const engine = await opened(t);
  const stop = new AbortController();
  let closed = false;
  const forever = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: async () => ((closed = true), { done: true, value: undefined }),
    }),
  };
  const upsert = engine.upsert(forever, { signal: stop.signal });
  await sleep(20);
  stop.abort(new Error("enough"));
  await assert.rejects(upsert, /enough/);
  assert.ok(closed);
});

test("the deadline ends the wait for an iterator too", async (t) => {
  const engine = await opened(t);
  let closed = 0;
  const close = async () => ((closed += 1), { done: true, value: undefined });
  const stuck = (given) => ({
    [Symbol.asyncIterator]: () => ({
      next: async () => (given-- > 0 ? { done: false, value: { id: `${given}`, text: "x" } } : new Promise(() => {})),
      return: close,
    }),
  });
  const late = { name: "RagError", code: "deadline_exceeded", message: "the deadline of the call passed" };
  for (const rest of [{}, { signal: new AbortController().signal }]) {
    const begin = performance.now();
    await assert.rejects(engine.upsert(stuck(3), { timeoutMs: 50, ...rest }), late);
    const took = performance.now() - begin;
    assert.ok(took >= 49 && took < 2000, `after ${took} ms`);
  }
  // It is for the whole call: an iterator that always has more does not begin it anew.
  async function* endless() {
    try {
      for (let i = 0; ; i += 1) yield (await sleep(1), { id: `${i}`, text: "x" });
    } finally {
      closed += 1;
    }
  }
  await assert.rejects(engine.upsert(endless(), { timeoutMs: 100 }), { code: "deadline_exceeded" });
  await sleep(20); // until its own wait is over
  assert.equal(closed, 3);
  assert.equal((await engine.upsert(new Set(many(3)), { timeoutMs: 2 ** 40 })).added, 3);
});

test("what an iterator gave before the abort stays staged", async (t) => {
  const engine = await opened(t);
  const stop = new AbortController();
  async function* endless() {
    for (let i = 0; ; i += 1) {
      if (i === 3000) stop.abort();
      yield { id: `${i}`, text: "x" };
    }
  }
  await assert.rejects(engine.upsert(endless(), { signal: stop.signal }), { name: "AbortError" });
  await engine.commit();
  const { documents } = await engine.stats();
  assert.ok(documents > 0 && documents < 3000, `${documents} documents`);
});

test("aborting stops many questions, a graph, and a model", async (t) => {
  const engine = await opened(t);
  await engine.upsert(many(2000));
  await engine.commit();
  const embedder = await Embedder.load();
  const index = new VectorIndex(64);
  const values = Float32Array.from({ length: 64 * 20_000 }, () => Math.random() - 0.5);
  await index.add(BigUint64Array.from({ length: 20_000 }, (_, i) => BigInt(i)), values);
  const calls = [
    (signal) => engine.searchMany(Array.from({ length: 20_000 }, () => long), { signal }),
    (signal) => index.build({ signal }),
    (signal) => index.search(values, { signal }),
    (signal) => embedder.encode(Array.from({ length: 200_000 }, () => long), { signal }),
  ];
  for (const call of calls) {
    const begin = performance.now();
    await assert.rejects(call(AbortSignal.timeout(100)), { name: "TimeoutError" }, `${call}`);
    const stopped = performance.now() - begin;
    assert.ok(stopped < 5000, `${call} stopped after ${stopped} ms`);
  }
  assert.equal((await engine.search("word1", { k: 1, signal: new AbortController().signal })).hits.length, 1);
});

test("signals that outlive their calls keep no listeners", async (t) => {
  const engine = await opened(t);
  const { signal } = new AbortController();
  const warnings = [];
  const warn = (warning) => warnings.push(warning);
  process.on("warning", warn);
  for (let i = 0; i < 50; i += 1) await engine.search("x", { signal });
  await engine.upsert(new Set(many(3)), { signal });
  await sleep(10);
  process.off("warning", warn);
  assert.deepEqual(warnings, []);
});
