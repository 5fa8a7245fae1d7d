import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, beforeEach, describe, test } from "node:test";

import { Embedder, Engine, ERROR_CODES, RagError } from "rag-core";

import { folder, ragError } from "./support.mjs";

const native = createRequire(import.meta.url)("../dist/native.js");

const DOCUMENTS = [
  { id: "snow", title: "Pass", text: "Alpine passes close then.", metadata: { year: 2024, tags: ["a", true, 1.5] } },
  { id: "bread", text: "The bakery opens at six.", metadata: { day: new Date("2024-05-01"), open: true, none: null } },
];
const ids = (answer) => [...answer].map((hit) => hit.id);

/** An engine for the length of a test. */
async function opened(t, options) {
  let engine;
  t.after(() => engine?.close()); // before its folder goes
  return (engine = await Engine.open(join(folder(t), "data"), options));
}

/** One with the two documents. */
async function filled(t) {
  const engine = await opened(t);
  const report = { added: 2, updated: 0, unchanged: 0, repeated: 0, chunks: 2, embedded: 2, truncated: 0 };
  assert.deepEqual(await engine.upsert(DOCUMENTS), report);
  assert.equal(await engine.commit(), 1);
  return engine;
}

describe("an engine with two documents", () => {
  let engine;
  beforeEach(async (t) => {
    engine = await filled(t);
  });

  test("finds, explains, gives and deletes", async () => {
    const answer = await engine.search("when does the bakery open", { k: 2, explain: true });
    const [hit] = answer.hits;
    assert.deepEqual([hit.id, hit.rank, hit.text, hit.title], ["bread", 1, "The bakery opens at six.", ""]);
    assert.deepEqual(hit.chunk, { ordinal: 0, start: 0, end: 24 });
    assert.deepEqual(hit.metadata, { day: "2024-05-01T00:00:00.000Z", open: true });
    const contributions = hit.explain.runs.reduce((sum, run) => sum + run.contribution, 0);
    assert.ok(Math.abs(hit.explain.score - contributions) < 1e-6);
    assert.deepEqual([answer.commitSeq, answer.visible, answer.degraded, answer.plan], [1, 2, [], "exact scan"]);
    assert.equal((await engine.explain("bakery", "bread")).explain.fusion, "convex(min_max)");
    assert.equal(await engine.explain("zzzz", "bread", { retrievers: ["lexical"] }), null);
    assert.equal(await engine.delete(["bread", "nothing"]), 1);
    await engine.commit();
    assert.equal(await engine.get("bread"), null);
    assert.deepEqual(ids(await engine.search("bakery")), ["snow"]);
    assert.deepEqual(await engine.get("snow"), {
      id: "snow", title: "Pass", text: "Alpine passes close then.", metadata: { year: 2024, tags: ["a", true, 1.5] },
    });
  });

  test("filters, retrievers, vectors and syntax", async () => {
    assert.deepEqual(ids(await engine.search("the", { filter: { eq: { year: 2024 } } })), ["snow"]);
    assert.deepEqual(ids(await engine.search("the", { filter: '{"eq": {"year": 2024}}' })), ["snow"]);
    assert.deepEqual(ids(await engine.search("the", { filter: { eq: { year: 2024n } } })), ["snow"]);
    const after = { range: { day: { gte: new Date("2024-04-30"), lt: undefined } } };
    assert.deepEqual(ids(await engine.search("the", { filter: after })), ["bread"]);
    assert.deepEqual(ids(await engine.search("bakery", { retrievers: ["lexical"] })), ["bread"]);
    const { data } = await (await Embedder.load()).encode(["bakery"], { kind: "query" });
    const dense = await engine.search("", { vector: data, retrievers: ["dense"] });
    assert.deepEqual(dense.hits, (await engine.search("bakery", { retrievers: ["dense"] })).hits);
    assert.deepEqual(ids(await engine.search("+bakery -passes", { syntax: true })), ["bread"]);
    assert.match((await engine.search("x", { filter: { eq: { jahr: 1 } } })).degraded[0], /`jahr`/);
  });

  test("answers many questions as one by one", async () => {
    const questions = ["bakery", "winter passes"];
    const one = await Promise.all(questions.map((question) => engine.search(question)));
    assert.deepEqual(await engine.searchMany(questions), one);
    assert.deepEqual(await engine.searchMany([]), []);
  });

  test("keeps tenants apart", async () => {
    await engine.upsert([{ id: "bread", text: "Other bread." }], { tenant: "other" });
    await engine.commit();
    assert.equal((await engine.get("bread", { tenant: "other" })).text, "Other bread.");
    assert.deepEqual([(await engine.stats()).documents, (await engine.stats({ tenant: "other" })).documents], [2, 1]);
    assert.equal(await engine.delete(["snow"], { tenant: "other" }), 0);
  });

  test("drops what is staged, verifies and compacts", async () => {
    await engine.upsert([{ id: "new", text: "x" }]);
    await engine.rollback();
    assert.equal(await engine.commit(), 1);
    assert.deepEqual(await engine.verify(), { documents: 2, repaired: [] });
    await engine.compact();
    assert.deepEqual(engine.repairs, []);
    const { bytesStore, dimension, vectors } = await engine.stats();
    assert.ok(bytesStore > 0 && dimension === 256 && vectors === 2);
  });

});

describe("an engine refuses", () => {
  let engine;
  const closing = [];
  before(async () => {
    engine = await filled({ after: (close) => closing.push(close) });
  });
  after(async () => {
    for (const close of closing) await close();
  });

  const wrong = [
    [[{ text: "x" }], "document 0: it has no `id`; give a string"],
    [[{ id: 7, text: "x" }], "document 0: `id` is a number; give a string"],
    [["text"], "document 0: it is a string; give an object"],
    [[null], "document 0: it is a null; give an object"],
    [[{ id: "a", text: "x", lang: "en" }], /document 0: `lang` is no field; there are id, title, text and metadata/],
    [[{ id: "a" }, { id: "b", metadata: { k: () => {} } }], /document 1: metadata `k` is a function; give a string/],
    [[{ id: "a", metadata: { k: new Map() } }], /metadata `k` is a Map/],
    [[{ id: "a", metadata: { k: [new Set()] } }], /metadata `k` is a Set/],
    [[{ id: "a", metadata: [1] }], /`metadata` is a Array; give an object/],
    [[{ id: "a", metadata: { k: 2n ** 64n } }], /metadata `k` is beyond 64 bits/],
    [[{ id: "a", metadata: { k: new Date("no") } }], /metadata `k` is an invalid date/],
    [[{ id: "a", metadata: { k: NaN } }], /`k` is not a finite number/],
    [[{ id: "a", title: "t".repeat(5000) }], /`title` has 5000 bytes/],
    ["text", /no collection of documents/],
    [{ id: "a" }, /no collection of documents/],
    [null, /no collection of documents/],
  ];
  for (const [documents, message] of wrong) {
    test(`documents and stages none: ${message}`, async () => {
      await assert.rejects(engine.upsert(documents), ragError("invalid_argument", message));
      await engine.commit();
      assert.equal((await engine.stats()).documents, 2);
    });
  }

  const refused = [
    ["a k of 0", () => engine.search("x", { k: 0 }), /`k` is 0; ask for 1 to 10000 hits/],
    ["a k below 0", () => engine.search("x", { k: -1 }), /`k` is -1; give a whole number, at least 0/],
    ["half a hit", () => engine.search("x", { k: 1.5 }), /`k` is 1.5; give a whole number/],
    ["a k that is text", () => engine.search("x", { k: "5" }), "`k` is a string; give a number"],
    ["no text", () => engine.search(undefined), "`text` is missing; give a string"],
    ["a vector of another type", () => engine.search("", { vector: [1] }), "`vector` is an Array; give a Float32Array"],
    ["a vector of another length", () => engine.search("", { vector: new Float32Array(2) }), /`vector`/],
    ["one retriever that is none", () => engine.search("x", { retrievers: ["sparse"] }), /`retrievers` has "sparse"/],
    ["text for retrievers", () => engine.search("x", { retrievers: "dense" }), /`retrievers` is a string/],
    ["a filter that is none", () => engine.search("x", { filter: { like: { a: 1 } } }), /like/],
    ["a filter of functions", () => engine.search("x", { filter: { eq: { a: () => 1 } } }), /compare with a function/],
    ["a filter that is no JSON", () => engine.search("x", { filter: "{" }), /`filter` is not JSON/],
    ["a filter with NaN", () => engine.search("x", { filter: { eq: { a: NaN } } }), /`filter` is not JSON/],
    ["a filter with an invalid date", () => engine.search("x", { filter: { eq: { a: new Date("no") } } }), /invalid date/],
    ["a time below 0", () => engine.search("x", { timeoutMs: -1 }), /`timeoutMs` is -1; give milliseconds, at least 0/],
    ["a signal that is none", () => engine.search("x", { signal: {} }), /`signal` is an Object; give an AbortSignal/],
    ["ids that are text", () => engine.delete("snow"), /`ids` is a string; give an array of strings/],
    ["ids that are numbers", () => engine.delete(["snow", 1]), /`ids` has something else than a string at position 1/],
    ["a tenant without a name", () => engine.stats({ tenant: "" }), /`tenant` is empty/],
    ["a path that is none", () => Engine.open(7), /a path is of type number/],
  ];
  for (const [name, work, message] of refused) {
    test(name, async () => {
      await assert.rejects(work, ragError("invalid_argument", message));
    });
  }
});

test("errors are of their kind", async (t) => {
  const path = folder(t);
  const engine = await Engine.open(join(path, "data"));
  await assert.rejects(Engine.open(join(path, "data")), ragError("conflict", /is in use by process/));
  await assert.rejects(engine.explain("x", "nobody"), ragError("not_found", /no document "nobody"/));
  await assert.rejects(Engine.open(join(path, "new"), { model: join(path, "nothing") }), { code: "not_found" });
  await assert.rejects(Engine.open(join(path, "new"), { config: join(path, "no.toml") }), { code: "not_found" });
  const late = await engine.search("x", { timeoutMs: 0 }).catch((error) => error);
  assert.ok(late instanceof RagError && late instanceof Error);
  assert.deepEqual([late.code, late.context], ["deadline_exceeded", { stage: "authorise" }]);
  assert.match(late.stack, /engine\.test\.mjs/, "the stack shows the caller");
  await engine.close();
  await engine.close();
  for (const work of [() => engine.search("x"), () => engine.commit(), () => engine.upsert([{ id: "a" }])]) {
    await assert.rejects(work, ragError("invalid_argument", "the engine is closed; open it again"));
  }
  assert.throws(() => engine.repairs, ragError("invalid_argument", /closed/));
  assert.equal(engine.path, join(path, "data"));
});

test("every kind of error has its code", () => {
  assert.deepEqual(native.errorKinds(), [...ERROR_CODES]);
});

test("documents come as anything that can be iterated", async (t) => {
  const engine = await opened(t);
  const numbered = (count) => Array.from({ length: count }, (_, i) => ({ id: `${i}`, text: `number ${i}` }));
  function* plain() {
    yield* numbered(3000);
  }
  async function* awaited() {
    yield* numbered(3001);
  }
  class Page {
    constructor(id) {
      this.id = id;
    }
    get text() {
      return "page";
    }
  }
  assert.equal((await engine.upsert(plain())).added, 3000);
  const { added, unchanged } = await engine.upsert(awaited(), { signal: new AbortController().signal });
  assert.deepEqual([added, unchanged], [1, 3000]);
  assert.equal((await engine.upsert(new Set([new Page("p")]))).added, 1);
  assert.equal((await engine.upsert([])).added, 0);
  assert.equal((await engine.upsert(new Set())).added, 0);
  const metadata = { a: { b: { c: 1 } }, big: 2n ** 60n, small: 5n, "dotted.name": "x", gone: undefined };
  await engine.upsert([{ id: "m", text: "number", metadata }]);
  await engine.commit();
  assert.equal((await engine.get("p")).text, "page");
  const stored = { "a.b.c": 1, big: 2n ** 60n, "dotted.name": "x", small: 5 };
  assert.deepEqual((await engine.get("m")).metadata, stored);
  assert.deepEqual(ids(await engine.search("number", { filter: { eq: { big: 2n ** 60n } } })), ["m"]);
  assert.deepEqual(ids(await engine.search("number", { filter: { eq: { big: 2n ** 60n + 1n } } })), []);
});

test("an error of the iterator passes, and closes nothing twice", async (t) => {
  const engine = await opened(t);
  const mine = new TypeError("mine");
  let closed = 0;
  async function* broken() {
    try {
      yield { id: "a", text: "x" };
      throw mine;
    } finally {
      closed += 1;
    }
  }
  async function* wrong() {
    try {
      yield { id: "a", text: "x" };
      yield { id: 7 };
    } finally {
      closed += 1;
    }
  }
  await assert.rejects(engine.upsert(broken()), (error) => error === mine);
  await assert.rejects(engine.upsert(wrong()), ragError("invalid_argument", /document 1: `id` is a number/));
  const getter = { id: "a", get text() { throw mine; } };
  await assert.rejects(engine.upsert([getter]), (error) => error === mine);
  assert.equal(closed, 2);
});

test("a path may be a URL, a model an Embedder, and closing waits for calls", async (t) => {
  const path = join(folder(t), "with space");
  const model = await Embedder.load();
  const engine = await Engine.open(pathToFileURL(path), { model });
  const staged = engine.upsert(Array.from({ length: 300 }, (_, i) => ({ id: `${i}`, text: `text number ${i}` })));
  const committed = engine.commit();
  await engine.close();
  await Promise.all([staged, committed]);
  const again = await Engine.open(path);
  await again[Symbol.asyncDispose]();
  await (await Engine.open(path)).close();
});
