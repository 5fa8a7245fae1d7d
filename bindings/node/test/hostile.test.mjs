// What must not bring the process down, nor change what is stored: memory that goes away, depths without end, half characters,
// errors that look like the engine's.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { Embedder, Engine, evaluate, fuse, VectorIndex } from "rag-core";

import { folder, ragError } from "./support.mjs";

const invalid = (message) => ragError("invalid_argument", message);

async function opened(t) {
  let engine;
  t.after(() => engine?.close());
  return (engine = await Engine.open(join(folder(t), "data")));
}

/** Takes the memory of arrays away, as `postMessage` with a transfer list does. */
const transfer = (...arrays) => structuredClone(0, { transfer: arrays.map((array) => array.buffer) });

const row = (values, dimension, at) => values.subarray(at * dimension, (at + 1) * dimension);

function vectors(count, dimension) {
  let state = 1;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 31 - 1;
  return [BigUint64Array.from({ length: count }, (_, i) => BigInt(i)), Float32Array.from({ length: count * dimension }, next)];
}

test("arrays may be transferred right after the call", async () => {
  const [dimension, count] = [64, 4000];
  const index = new VectorIndex(dimension, { metric: "l2" });
  for (let round = 0; round < 20; round += 1) {
    const [ids, values] = vectors(count, dimension);
    const added = index.add(ids, values);
    transfer(ids, values);
    assert.equal(values.length, 0);
    await added;
  }
  const [ids, values] = vectors(count, dimension);
  const truth = await index.search(values.slice(0, 200 * dimension), { k: 3, allow: ids.slice(0, 1000) });
  assert.deepEqual([...truth.ids.filter((_, at) => at % 3 === 0)], [...ids.subarray(0, 200)]);
  for (let round = 0; round < 20; round += 1) {
    const [query, allow] = [values.slice(0, 200 * dimension), ids.slice(0, 1000)];
    const [one, allowOne] = [row(values, dimension, 7).slice(), ids.slice(0, 1000)];
    const found = [index.search(query, { k: 3, allow }), index.search(one, { k: 1, allow: allowOne })];
    transfer(query, allow, one, allowOne);
    const [many, single] = await Promise.all(found);
    assert.deepEqual(many, truth);
    assert.deepEqual([...single.ids], [7n]);
  }
  const gone = ids.slice(0, 10);
  const removed = index.remove(gone);
  transfer(gone);
  assert.equal(await removed, 10);
});

test("arrays whose buffer is resized right after the call", async () => {
  const [dimension, count] = [64, 4000];
  const index = new VectorIndex(dimension, { metric: "l2" });
  const [ids, values] = vectors(count, dimension);
  const buffer = new ArrayBuffer(values.byteLength, { maxByteLength: values.byteLength });
  const resizable = new Float32Array(buffer);
  resizable.set(values);
  const added = index.add(ids, resizable);
  buffer.resize(0);
  await added;
  assert.deepEqual([...(await index.search(row(values, dimension, 9), { k: 1 })).ids], [9n]);
});

test("a long array is copied in turns, and refused when it goes away meanwhile", async () => {
  const [dimension, count] = [256, 20_000]; // 20 MB
  const index = new VectorIndex(dimension, { metric: "l2" });
  const [ids, values] = vectors(count, dimension);
  await index.add(ids, values);
  for (const at of [0, 4095, 4096, 4097, 19_999]) {
    assert.deepEqual([...(await index.search(row(values, dimension, at), { k: 1 })).ids], [BigInt(at)]);
  }
  const added = index.add(ids, values);
  transfer(values);
  await assert.rejects(added, invalid(/^`vectors` has been transferred or resized/));
  assert.equal(index.size, count);
});

test("arrays without memory of their own are refused", async (t) => {
  const index = new VectorIndex(2);
  const [ids, values] = [new BigUint64Array([1n, 2n]), new Float32Array([1, 0, 0, 1])];
  await index.add(ids, values);
  const [lostIds, lost] = [ids.slice(), values.slice()];
  transfer(lostIds, lost);
  await assert.rejects(index.add(lostIds, values), invalid(/^`ids` has been transferred/));
  await assert.rejects(index.add(ids, lost), invalid(/^`vectors` has been transferred/));
  await assert.rejects(index.remove(lostIds), invalid(/^`ids` has been transferred/));
  await assert.rejects(index.search(lost), invalid(/^`vectors` has been transferred/));
  await assert.rejects(index.search(values, { allow: lostIds }), invalid(/^`allow` has been transferred/));
  const none = [new BigUint64Array(0), new Float32Array(0)];
  await index.add(...none);
  assert.equal(await index.remove(none[0]), 0);
  assert.deepEqual(await index.search(none[1]), { ids: none[0], scores: none[1] });
  assert.equal((await index.search(values.subarray(0, 2), { allow: none[0] })).ids.length, 0);

  const sharedIds = new BigUint64Array(new SharedArrayBuffer(16));
  const shared = new Float32Array(new SharedArrayBuffer(16));
  const is = (name) => invalid(`\`${name}\` is in a SharedArrayBuffer, which other threads may change; give a copy: \`${name}.slice()\``);
  await assert.rejects(index.add(sharedIds, values), is("ids"));
  await assert.rejects(index.add(ids, shared), is("vectors"));
  await assert.rejects(index.remove(sharedIds), is("ids"));
  await assert.rejects(index.search(shared), is("vectors"));
  await assert.rejects(index.search(values, { allow: sharedIds }), is("allow"));
  await assert.rejects((await opened(t)).search("", { vector: shared }), is("vector"));
  assert.equal(index.size, 2);
});

test("metadata without end is refused", async (t) => {
  const engine = await opened(t);
  const list = [];
  list.push(list);
  const object = { a: {} };
  object.a.b = object;
  let [deep, bounded] = [{}, { x: 1 }];
  for (let i = 0; i < 10_000; i += 1) deep = { d: deep };
  for (let i = 0; i < 32; i += 1) bounded = { d: bounded };
  const refused = (metadata, message) => assert.rejects(engine.upsert([{ id: "a", metadata }]), invalid(message));
  await refused({ list }, "document 0: metadata `list` has a list in a list; give one list");
  await refused({ list: [[1]] }, /metadata `list` has a list in a list/);
  await refused(object, /^document 0: metadata `a\.b\.a\..*` is more than 32 objects deep/);
  await refused({ deep }, /^document 0: metadata `deep\.d\..*` is more than 32 objects deep/);
  await engine.upsert([{ id: "a", text: "x", metadata: bounded }]);
  await engine.commit();
  assert.deepEqual((await engine.get("a")).metadata, { [`${"d.".repeat(32)}x`]: 1 });
});

test("half of a surrogate pair is refused wherever text goes in", async (t) => {
  const engine = await opened(t);
  const half = "a\ud800";
  const documents = [
    [{ id: half }, /^document 1: `id` is not well formed/],
    [{ id: "a", title: half }, /^document 1: `title` is not well formed/],
    [{ id: "a", text: half }, /^document 1: `text` is not well formed/],
    [{ id: "a", metadata: { field: half } }, /^document 1: metadata `field` is not well formed/],
    [{ id: "a", metadata: { field: ["fine", half] } }, /^document 1: metadata `field` is not well formed/],
    [{ id: "a", metadata: { nested: { [half]: 1 } } }, /^document 1: a name in metadata `nested\.…` is not well formed/],
  ];
  for (const [document, message] of documents) {
    await assert.rejects(engine.upsert([{ id: "first" }, document]), invalid(message));
    await assert.rejects(engine.upsert(new Set([{ id: "first" }, document])), invalid(message));
    await engine.rollback();
  }
  const index = new VectorIndex(2);
  const calls = [
    [() => engine.upsert([], { tenant: half }), "tenant"],
    [() => engine.delete(["a", half]), "ids`, position 1"],
    [() => engine.search(half), "text"],
    [() => engine.search("x", { tenant: half }), "tenant"],
    [() => engine.search("x", { filter: { eq: { a: half } } }), "filter"],
    [() => engine.search("x", { filter: { eq: { [half]: 1 } } }), "filter"],
    [() => engine.search("x", { filter: `{"exists": "${half}"}` }), "filter"],
    [() => engine.search("x", { filter: '{"exists": "\\ud800"}' }), "filter"],
    [() => engine.searchMany(["x", half]), "texts`, position 1"],
    [() => engine.explain("x", half), "id"],
    [() => engine.get(half), "id"],
    [() => engine.ids({ after: half }), "after"],
    [() => fuse([{ q: { [half]: 1 } }]), "query \"q\""],
    [() => evaluate({ [half]: { a: 1 } }, {}, ["map"]), "qrels"],
    [() => Engine.open(half), "path"],
    [() => index.save(half), "path"],
    [async () => (await Embedder.load()).encode([half]), "texts"],
  ];
  for (const [call, name] of calls) {
    await assert.rejects(call, (error) => error.code === "invalid_argument" && error.message.includes(name), `${call}`);
  }
  // The character itself, and whole pairs, are fine.
  assert.equal((await engine.upsert([{ id: "\ufffd" }, { id: "\ud83d\ude00" }])).added, 2);
});

test("errors of the caller's own code pass, even those that look like the engine's", async (t) => {
  const engine = await opened(t);
  const looks = [
    Object.assign(new Error("mine"), { code: "not_found", context: {} }),
    Object.assign(new Error("mine"), { code: "cancelled", context: { a: "b" } }),
    Object.assign(new TypeError("mine"), { code: "InvalidArg" }),
    { code: "invalid_argument", context: {} },
    undefined,
  ];
  for (const mine of looks) {
    const fail = () => { throw mine; };
    const same = (error) => error === mine;
    const getter = { id: "a", get text() { return fail(); } };
    const iterators = [
      (function* () { fail(); })(),
      (async function* () { fail(); })(),
      { [Symbol.asyncIterator]: () => ({ next: fail }) },
      { [Symbol.iterator]: fail },
      [getter],
      [{ id: "a", metadata: { get field() { return fail(); } } }],
      new Set([getter]),
    ];
    for (const documents of iterators) {
      await assert.rejects(engine.upsert(documents), same);
    }
    for (const rest of [{ signal: new AbortController().signal }, { timeoutMs: 60_000 }]) {
      await assert.rejects(engine.upsert((async function* () { fail(); })(), rest), same);
    }
    await assert.rejects((await Embedder.load()).encode(["x"], { onProgress: fail }), same);
    const run = new Map([["q", new Proxy({}, { ownKeys: fail })]]);
    await assert.rejects(fuse([run]), same);
    await assert.rejects(evaluate(run, {}, ["map"]), same);
  }
});

test("metadata may have the names that objects have themselves", async (t) => {
  const engine = await opened(t);
  const metadata = JSON.parse('{"__proto__": "p", "constructor": "c", "toString": "s", "hasOwnProperty": [1, 2], "plain": true}');
  await engine.upsert([{ id: "a", text: "bread", metadata }, { id: "b", text: "bread", metadata: JSON.parse('{"__proto__": {"x": 1}}') }]);
  await engine.commit();
  const stored = (await engine.get("a")).metadata;
  assert.deepEqual(Object.keys(stored).sort(), Object.keys(metadata).sort());
  assert.deepEqual(stored, metadata);
  assert.equal(Object.getPrototypeOf(stored), Object.prototype);
  const answers = [await engine.search("bread"), ...(await engine.searchMany(["bread"]))];
  for (const answer of answers) assert.deepEqual(answer.hits.find(({ id }) => id === "a").metadata, metadata);
  assert.deepEqual((await engine.explain("bread", "a")).metadata, metadata);
  assert.deepEqual((await engine.get("b")).metadata, { "__proto__.x": 1 });
  assert.equal({}.x, undefined);
});

test("null is what is not given", async (t) => {
  const path = join(folder(t), "data");
  const engine = await Engine.open(path, { model: null, config: null });
  t.after(() => engine.close());
  const call = { signal: null, timeoutMs: null, tenant: null };
  const question = { ...call, k: null, filter: null, retrievers: null, explain: null, vector: null, syntax: null };
  assert.equal((await engine.upsert([{ id: "a", text: "bread", title: null, metadata: null }], call)).added, 1);
  assert.equal((await engine.upsert(new Set([{ id: "b", text: "bread" }]), call)).added, 1);
  await engine.commit();
  assert.equal((await engine.search("bread", question)).hits.length, 2);
  assert.equal((await engine.searchMany(["bread"], question))[0].hits.length, 2);
  assert.equal((await engine.explain("bread", "a", question)).id, "a");
  assert.equal((await engine.get("a", { tenant: null })).id, "a");
  assert.deepEqual(await engine.ids({ filter: null, after: null, limit: null, tenant: null }), ["a", "b"]);
  assert.equal((await engine.stats({ tenant: null })).documents, 2);
  assert.equal(await engine.delete(["a"], { tenant: null }), 1);
  const embedder = await Embedder.load(null, { device: null, queryPrompt: null, documentPrompt: null, maxTokens: null });
  const { dimension } = await embedder.encode(["x"], { kind: null, batchTokens: null, onProgress: null, signal: null });
  const index = new VectorIndex(dimension, { metric: null, m: null, efConstruction: null, quantization: null, threads: null });
  await index.build({ signal: null, timeoutMs: null });
  const asked = { k: null, ef: null, allow: null, threads: null, signal: null, timeoutMs: null };
  assert.equal((await index.search(new Float32Array(dimension).fill(1), asked)).ids.length, 0);
  await index.save(join(path, "..", "vectors"));
  const read = { mmap: null, threads: null, signal: null, timeoutMs: null };
  assert.equal((await VectorIndex.load(join(path, "..", "vectors"), read)).size, 0);
  const options = { method: null, k: null, weights: null, normalization: null };
  assert.equal((await fuse([{ q: { a: 1 } }], options)).size, 1);
  assert.deepEqual(await evaluate({ q: { a: 1 } }, { q: { a: 1 } }, ["mrr"], { missing: null, perQuery: null }), { mrr: 1 });
});

test("many ids, many answers and many hits", async (t) => {
  const engine = await opened(t);
  const documents = Array.from({ length: 3000 }, (_, i) => ({ id: `${i}`.padStart(4, "0"), text: `number ${i}` }));
  await engine.upsert(documents);
  await engine.commit();
  const ids = documents.map(({ id }) => id);
  assert.deepEqual(await engine.ids(), ids);
  const texts = documents.slice(0, 1500).map(({ text }) => text);
  const answers = await engine.searchMany(texts, { k: 1, retrievers: ["lexical"] });
  assert.deepEqual(answers.map(({ hits: [hit] }) => hit.id), ids.slice(0, 1500));
  const all = await engine.search("number", { k: 3000, retrievers: ["lexical"], explain: true });
  assert.equal(new Set([...all].map(({ id }) => id)).size, 3000);
  assert.deepEqual(all.hits.map(({ rank }) => rank), ids.map((_, at) => at + 1));
  assert.deepEqual((await engine.searchMany(["number"], { k: 3000, retrievers: ["lexical"], explain: true }))[0], all);
  assert.equal(await engine.delete(ids.slice(0, 2500)), 2500);
  await engine.commit();
  assert.deepEqual(await engine.ids(), ids.slice(2500));
});

// Last: where it is not refused, the process ends.
test("more neighbours than any answer can hold are refused", async () => {
  const index = new VectorIndex(2);
  await index.add(new BigUint64Array([1n, 2n]), new Float32Array([1, 0, 0, 1]));
  for (const k of [1e13, 2 ** 53 - 1]) {
    await assert.rejects(index.search(new Float32Array([1, 0]), { k }), invalid(/`k`/));
    await assert.rejects(index.search(new Float32Array([1, 0, 0, 1]), { k }), invalid(/`k`/));
  }
});
