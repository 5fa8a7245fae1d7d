import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";

import { ClickLog, Engine, FeatureLog, FeatureSchema, Ranker } from "rag-core";

import { folder, ragError, ROOT, run } from "./support.mjs";

const invalid = (message) => ragError("invalid_argument", message);

const INNS = Array.from({ length: 60 }, (_, n) => ({
  id: `inn-${n}`,
  title: `Inn ${n}`,
  text: `An inn by the lake, number ${n}. ${"It has rooms. ".repeat(n % 7)}`,
  metadata: n % 6 === 5 ? { name: "no stars" } : { stars: n % 6, name: `n${n}` },
}));
const starsOf = (id) => [0, 1, 2, 3, 4, null][Number(id.slice(4)) % 6];
const stars = (_, documents) => documents.map(({ metadata }) => metadata.stars);

/** An engine with the inns. */
async function inns(t, options = {}, documents = INNS) {
  let engine;
  t.after(() => engine?.close());
  engine = await Engine.open(join(folder(t), "data"), options);
  await engine.upsert(documents);
  await engine.commit();
  return engine;
}

/** A ranker that likes stars. */
async function byStars(engine) {
  const log = await engine.logFeatures({ a: "inn by the lake", b: "rooms", c: "number" });
  const y = log.documentIds.map((id) => starsOf(id) ?? 0);
  return Ranker.train({ X: log.x, columns: log.columns, y, group: log.group, schema: log.schema, numTrees: 10, minDataInLeaf: 5 });
}

test("a log has what a ranker would see", async (t) => {
  const seen = [];
  const featureFunctions = { "my.stars": stars, "my.length": async (text, documents, query) => (seen.push({ text, query, documents }), documents.map(({ text }) => text.length)) };
  const engine = await inns(t, { featureFunctions });
  const log = await engine.logFeatures(new Map([["7", "inn by the lake"], ["none", "zzzz"], ["3", "rooms"]]), { k: 60, retrievers: ["lexical"] });
  assert.ok(log instanceof FeatureLog && log.x instanceof Float32Array && log.group instanceof Uint32Array);
  assert.deepEqual([log.queryIds, [...log.group]], [["7", "none", "3"], [60, 0, log.group[2]]]);
  assert.ok(log.group[2] > 0 && log.group[2] < 60);
  assert.equal(log.documentIds.length, 60 + log.group[2]);
  assert.equal(log.x.length, log.documentIds.length * log.columns);
  assert.deepEqual(log.names, engine.featureSchema().names);
  assert.deepEqual(log.names.slice(-2), ["my.stars", "my.length"]);
  assert.equal(log.schema.id, engine.featureSchema().id);
  assert.ok(log.schema instanceof FeatureSchema);
  const texts = new Map(INNS.map(({ id, text }) => [id, text]));
  for (const [row, id] of log.documentIds.entries()) {
    const [own, length] = log.x.subarray((row + 1) * log.columns - 2, (row + 1) * log.columns);
    assert.equal(length, texts.get(id).length);
    assert.deepEqual(own, starsOf(id) ?? NaN);
  }
  const [{ text, query, documents }] = seen.filter(({ text }) => text !== "rooms" && text !== "zzzz");
  assert.deepEqual([text, query], ["inn by the lake", { text, tenant: "default", vector: undefined }]);
  const inn = (({ title, ...rest }) => ({ ...rest, title }))(INNS[3]);
  assert.deepEqual({ ...documents.find(({ id }) => id === "inn-3") }, { ...inn, text: inn.text });
  assert.equal((await engine.logFeatures({ q: "inn" }, { k: 3 })).group[0], 60, "as many as a ranker ranks");
  assert.equal((await engine.logFeatures({})).x.length, 0);
});

test("grades come from judgments, and the log goes to a file", async (t) => {
  const engine = await inns(t, { featureFunctions: { "my.stars": stars } });
  const log = await engine.logFeatures({ q: "inn by the lake", other: "rooms" });
  const grades = { "inn-1": 3, "inn-2": 1, "inn-3": -1, elsewhere: 2 };
  const labels = await log.labels({ q: grades, unknown: { "inn-1": 9 } });
  const wanted = log.documentIds.map((id, row) => (row < log.group[0] ? Math.max(0, grades[id] ?? 0) : 0));
  assert.deepEqual(labels, Float32Array.from(wanted));
  const file = join(folder(t), "log.txt");
  await log.toSvmlight(file, new Map([["q", grades]]));
  const lines = readFileSync(file, "utf8").trim().split("\n").filter((line) => !line.startsWith("#"));
  assert.equal(lines.length, log.documentIds.length);
  assert.match(lines[log.documentIds.indexOf("inn-1")], /^3 qid:1 \d+:/);
  await assert.rejects(log.labels({ q: { a: 1.5 } }), invalid(/1.5 is no grade/));
  await assert.rejects(log.labels(7), invalid(/`qrels` is no object/));
});

test("a ranker decides, and hits tell why", async (t) => {
  const engine = await inns(t, { featureFunctions: { "my.stars": stars } });
  assert.equal(engine.ranker, null);
  const before = await engine.search("inn by the lake", { explain: true });
  assert.equal(before.hits[0].explain.ltr, undefined);
  const ranker = await byStars(engine);
  await engine.setRanker(ranker);
  assert.ok(engine.ranker instanceof Ranker);
  assert.deepEqual(engine.ranker.training, ranker.training);
  assert.equal(ranker.schema, engine.featureSchema().id);
  const answer = await engine.search("inn by the lake", { explain: true });
  assert.deepEqual(answer.degraded, []);
  assert.ok(answer.hits.every(({ metadata }) => metadata.stars === 4), JSON.stringify(answer.hits.map(({ metadata }) => metadata)));
  for (const { score, explain } of answer.hits) {
    const { ltr, runs } = explain;
    assert.deepEqual(ltr.features.map(({ name }) => name), engine.featureSchema().names);
    const sum = ltr.features.reduce((sum, { contribution }) => sum + contribution, ltr.expected);
    assert.ok(Math.abs(sum - ltr.score) < 1e-9);
    const most = ltr.features.reduce((one, other) => (other.contribution > one.contribution ? other : one));
    assert.deepEqual([most.name, most.value], ["my.stars", 4]);
    assert.deepEqual([ltr.weight, score], [1, ltr.normalized]);
    assert.ok(Math.abs(runs.reduce((sum, { contribution }) => sum + contribution, 0) - ltr.fused) < 1e-6);
  }
  await engine.setRanker(ranker, { weight: 0.5 });
  const [{ score, explain }] = (await engine.search("inn by the lake", { explain: true })).hits;
  assert.ok(Math.abs(score - (explain.ltr.normalized + explain.ltr.fusedNormalized) / 2) < 1e-6);
  const [first] = (await engine.search("inn by the lake", { k: 1 })).hits;
  assert.equal((await engine.explain("inn by the lake", first.id)).explain.ltr.weight, 0.5);
  await engine.setRanker(null);
  assert.equal(engine.ranker, null);
  assert.deepEqual((await engine.search("inn by the lake", { explain: true })).hits, before.hits);
});

test("a ranker that does not fit is refused, and the one before stays", async (t) => {
  const engine = await inns(t, { featureFunctions: { "my.stars": stars } });
  const ranker = await byStars(engine);
  await engine.setRanker(ranker);
  const { x, y } = { x: new Float32Array(40).map((_, at) => at % 7), y: Array.from({ length: 20 }, (_, at) => at % 2) };
  const other = await Ranker.train({ X: x, columns: 2, y, group: [20], featureNames: ["lexical.rank", "nothing"], minDataInLeaf: 1 });
  await assert.rejects(engine.setRanker(other), ragError("schema_mismatch", /`lexical.rank`|`nothing`/));
  await assert.rejects(engine.setRanker(ranker, { weight: 1.5 }), invalid(/`weight` is 1.5/));
  await assert.rejects(engine.setRanker(ranker, { weight: "1" }), invalid("`weight` is a string; give a number"));
  await assert.rejects(engine.setRanker("ranker.json"), invalid("`ranker` is a string; give a Ranker"));
  assert.equal(engine.ranker.numTrees, 10);
});

test("the configuration declares features, a ranker and clicks", async (t) => {
  const path = folder(t);
  const config = join(path, "rag.toml");
  writeFileSync(config, '[engine.features]\nversion = 4\ngroups = ["retrieval"]\nnumeric = ["stars"]\nclicks = {}\n');
  const engine = await inns(t, { config });
  const { version, names } = engine.featureSchema();
  assert.equal(version, 4);
  assert.ok(names.some((name) => name.includes("stars")), `${names}`);
  await engine.setClickHistory([{ id: "inn-1", impressions: 10, clicks: 5 }, { id: "inn-2", impressions: 20, clicks: 1 }]);
  const log = await engine.logFeatures({ q: "inn by the lake" });
  const column = (name) => names.findIndex((one) => one.includes(name));
  const of = (id, name) => log.x[log.documentIds.indexOf(id) * log.columns + column(name)];
  assert.deepEqual([of("inn-1", "impressions"), of("inn-2", "impressions"), of("inn-3", "impressions")], [10, 20, NaN]);
  await assert.rejects(engine.setClickHistory([{ id: "a", impressions: 1, clicks: 2 }]), invalid(/`clicks` of document "a" is 2/));
  await assert.rejects(engine.setClickHistory([{ id: "a", impressions: 1.5, clicks: 1 }]), invalid(/`impressions` of document "a" is 1.5/));
  await assert.rejects(engine.setClickHistory([{ id: "a", impressions: 1 }]), invalid(/position 0: `clicks` is missing/));
  await assert.rejects(engine.setClickHistory([{ impressions: 1, clicks: 1 }]), invalid(/the ids/));
  await assert.rejects(engine.setClickHistory("a"), invalid("`rows` is a string; give an Array"));
  const file = join(path, "ranker.json");
  const y = log.documentIds.map((id) => starsOf(id) ?? 0);
  await (await Ranker.train({ X: log.x, columns: log.columns, y, group: log.group, schema: log.schema, numTrees: 5 })).save(file);
  writeFileSync(config, `${readFileSync(config, "utf8")}[engine.ltr]\nmodel = "ranker.json"\nweight = 0.25\n`);
  const again = await inns(t, { config });
  assert.equal(again.ranker.numTrees, 5);
  assert.equal((await again.search("inn by the lake", { explain: true })).hits[0].explain.ltr.weight, 0.25);
});

test("options declare features too, over those of a file", async (t) => {
  const path = folder(t);
  const config = join(path, "rag.toml");
  writeFileSync(config, '[engine.features]\nversion = 4\ngroups = ["retrieval"]\nnumeric = ["height"]\n');
  const features = {
    numeric: ["stars"],
    freshness: [{ field: "built", halfLifeDays: 365 }],
    categorical: [{ field: "name", values: ["n1", "n2"] }],
    clicks: { priorImpressions: 5 },
    cacheMib: undefined,
  };
  const day = (n) => ({ ...INNS[n], metadata: { ...INNS[n].metadata, built: "2024-01-01" } });
  const engine = await inns(t, { config, features }, [day(1), day(2), day(3)]);
  const { version, names } = engine.featureSchema();
  assert.equal(version, 4);
  const has = (word) => names.some((name) => name.includes(word));
  assert.deepEqual(["stars", "built", "name", "clicks", "bm25", "height"].map(has), [true, true, true, true, false, false], `${names}`);
  const at = async (now) => {
    const log = await engine.logFeatures([["q", "inn"]], { now: new Date(now) });
    return log.x[names.findIndex((name) => name.includes("built"))];
  };
  assert.equal(await at("2024-01-01"), 1);
  assert.ok(Math.abs((await at("2024-12-31")) - 0.5) < 1e-6);
  await assert.rejects(engine.logFeatures({ q: "inn" }, { now: new Date(NaN) }), invalid(/`now` is an invalid date/));
  await assert.rejects(engine.logFeatures({ q: "inn" }, { now: 7 }), invalid("`now` is a number; give a Date"));
  for (const queries of [7, "q", [["q"]], ["q"], { q: 7 }]) await assert.rejects(engine.logFeatures(queries), invalid(/queries/));
  await assert.rejects(Engine.open("x", { features: { colour: 1 } }), invalid(/`features`.*`colour`/));
  await assert.rejects(Engine.open("x", { features: { freshness: [{ field: "a", halfLifeDays: 0 }] } }), invalid(/half_life_days/));
  await assert.rejects(Engine.open("x", { features: "all" }), invalid("`features` is a string; give an object"));
});

test("what a function throws leaves the fused order, and a log fails", async (t) => {
  let own = stars;
  const engine = await inns(t, { featureFunctions: { "my.stars": (...given) => own(...given) } });
  const fused = (await engine.search("inn by the lake")).hits.map(({ id }) => id);
  await engine.setRanker(await byStars(engine));
  const failures = [
    [() => { throw new TypeError("no stars today"); }, /no stars today/],
    [async () => { throw new Error("none later"); }, /none later/],
    [() => { throw "a string"; }, /a string/],
    [() => { throw Symbol("odd"); }, /Symbol\(odd\)/],
    [() => { throw Object.create(null); }, /no words/],
    [() => { throw { toString() { throw 1; } }; }, /no words/],
    [() => [1], /gave 1 values for 60 documents/],
    [() => undefined, /it gave missing/],
    [() => "1, 2, 3", /it gave a string/],
    [(_, documents) => documents.map(() => "1"), /a string at position 0/],
    [(_, documents) => documents.map(() => 1n), /a bigint at position 0/],
    [() => new Proxy([], { get() { throw new Error("trapped"); } }), /trapped/],
  ];
  for (const [failing, message] of failures) {
    own = failing;
    const { hits, degraded } = await engine.search("inn by the lake");
    assert.deepEqual(hits.map(({ id }) => id), fused);
    assert.equal(degraded.length, 1);
    assert.match(degraded[0], /^ltr: .*my\.stars/);
    assert.match(degraded[0], message);
    await assert.rejects(engine.logFeatures({ q: "inn by the lake" }), (error) => error.code === "invalid_argument" && message.test(error.message));
  }
  own = stars;
  assert.deepEqual((await engine.search("inn by the lake")).degraded, []);
  await assert.rejects(Engine.open("x", { featureFunctions: { a: 7 } }), invalid('`featureFunctions`, "a" is a number; give a function'));
  await assert.rejects(Engine.open("x", { featureFunctions: [stars] }), invalid(/`featureFunctions` is no object/));
});

test("a function that asks its own engine is refused; another engine answers it", async (t) => {
  const [other, refused] = [await inns(t), []];
  let engine;
  const asking = async (_, documents) => {
    await sleep(1);
    const calls = [
      () => engine.search("inn"),
      () => engine.searchMany(["inn"]),
      () => engine.logFeatures({ q: "inn" }),
      () => engine.explain("inn", "inn-1"),
      () => engine.get("inn-1"),
      () => engine.close(),
    ];
    refused.push(...(await Promise.allSettled(calls.map((call) => call()))));
    const { hits } = await other.search("lake", { k: 1 });
    return documents.map(() => hits.length);
  };
  engine = await inns(t, { featureFunctions: { "my.other": asking } });
  const log = await engine.logFeatures({ q: "inn by the lake" });
  assert.equal(log.x.at(-1), 1);
  assert.equal(refused.length, 6);
  for (const { reason } of refused) assert.match(reason.message, /a feature function calls the engine that waits for it/);
  assert.equal((await engine.search("inn")).hits.length, 10);
});

test("what a function leaves behind may ask its engine", async (t) => {
  let engine, later;
  const leaving = (_, documents) => {
    later = sleep(20).then(() => engine.search("inn"));
    return documents.map(() => 1);
  };
  engine = await inns(t, { featureFunctions: { "my.one": leaving } });
  await engine.logFeatures({ q: "inn" });
  assert.equal((await later).hits.length, 10);
});

test("aborting and deadlines end the wait for a function that never answers", async (t) => {
  let own = stars;
  const engine = await inns(t, { featureFunctions: { "my.stars": (...given) => own(...given) } });
  await engine.setRanker(await byStars(engine));
  own = () => new Promise(() => {});
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 30);
  await assert.rejects(engine.search("inn", { signal: stop.signal }), (error) => error === stop.signal.reason);
  await assert.rejects(engine.logFeatures({ q: "inn" }, { timeoutMs: 50 }), { code: "deadline_exceeded" });
  const late = await engine.search("inn", { timeoutMs: 2000 });
  assert.equal(late.hits.length, 10);
  assert.match(late.degraded[0], /^ltr: .*deadline/);
});

test("closing waits for functions, and they for nobody", async (t) => {
  const slow = async (_, documents) => (await sleep(50), documents.map(() => 1));
  const engine = await inns(t, { featureFunctions: { "my.slow": slow } });
  await engine.setRanker(await byStars(engine));
  const searches = Array.from({ length: 50 }, () => engine.search("inn by the lake"));
  const closed = engine.close();
  for (const { degraded, hits } of await Promise.all(searches)) assert.deepEqual([degraded, hits.length], [[], 10]);
  await closed;
});

const program = (path, body) => `
  const { Engine, Ranker } = require("rag-core");
  (async () => {
    const featureFunctions = { "my.n": async (_, documents) => (await new Promise((done) => setTimeout(done, 5)), documents.map(({ metadata }) => metadata.n)) };
    const engine = await Engine.open(${JSON.stringify(join(path, "data"))}, { featureFunctions });
    await engine.upsert(Array.from({ length: 30 }, (_, n) => ({ id: String(n), text: "text " + n, metadata: { n } })));
    await engine.commit();
    const log = await engine.logFeatures({ q: "text" });
    const y = log.documentIds.map((id) => id % 5);
    await engine.setRanker(await Ranker.train({ X: log.x, columns: log.columns, y, group: log.group, minDataInLeaf: 1, numTrees: 3 }));
    ${body}
  })();
`;

test("one thread for searches is enough, however many wait", (t) => {
  const body = `
    const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => engine.search("text " + n)));
    const many = await engine.searchMany(Array.from({ length: 10 }, () => "text"));
    console.log([...answers, ...many].filter(({ degraded }) => degraded.length === 0).length);
    await engine.close();
  `;
  const env = { ...process.env, RAG__ENGINE__RUNTIME__THREADS: "1" };
  assert.equal(run(process.execPath, ["-e", program(folder(t), body)], { cwd: ROOT, env, timeout: 60_000 }), "50\n");
});

test("an engine with functions does not keep the process alive", (t) => {
  const open = run(process.execPath, ["-e", program(folder(t), 'console.log("open")')], { cwd: ROOT, timeout: 60_000 });
  assert.equal(open, "open\n");
  const body = `
    engine.search("text").then(() => console.log("never"));
    setTimeout(() => process.exit(0), 2);
  `;
  assert.ok(["", "never\n"].includes(run(process.execPath, ["-e", program(folder(t), body)], { cwd: ROOT, timeout: 60_000 })));
});

test("a worker thread may be ended while its functions are waited for", async (t) => {
  const path = folder(t);
  const body = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { Engine, Ranker } = require(workerData.library);
    (async () => {
      let isStuck = false;
      const stuck = (_, documents) => isStuck ? (parentPort.postMessage("waiting"), new Promise(() => {})) : documents.map(() => 1);
      const engine = await Engine.open(workerData.folder, { featureFunctions: { stuck } });
      await engine.upsert([{ id: "a", text: "text" }, { id: "b", text: "text" }]);
      await engine.commit();
      const log = await engine.logFeatures({ q: "text" });
      await engine.setRanker(await Ranker.train({ X: log.x, columns: log.columns, y: [0, 1], group: log.group }));
      isStuck = true;
      const X = Array.from({ length: 100 }, (_, at) => [at]);
      Ranker.train({ X, y: X.map(([at]) => at % 5), group: [100], numTrees: 1e6, onProgress() {} });
      await engine.search("text");
    })();
  `;
  for (let round = 0; round < 3; round += 1) {
    const workerData = { folder: join(path, `${round}`), library: join(ROOT, "dist/index.js") };
    const worker = new Worker(body, { eval: true, workerData });
    await once(worker, "message");
    await sleep(round * 15);
    await worker.terminate();
    let engine;
    for (let tries = 0; !engine; tries += 1) {
      engine = await Engine.open(workerData.folder).catch((error) => {
        if (error.code !== "conflict" || tries > 100) throw error;
        return sleep(50);
      });
    }
    assert.equal((await engine.stats()).documents, 2);
    await engine.close();
  }
});

test("clicks are learnt from as labels are", async (t) => {
  const engine = await inns(t, { featureFunctions: { "my.stars": stars } });
  const path = join(folder(t), "clicks.jsonl");
  // Users look at a rank with a chance that falls, and click what has stars; each ranker begins with another inn.
  let state = 1;
  const next = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0), state / 2 ** 32);
  const ids = INNS.slice(0, 20).map(({ id }) => id);
  const lines = Array.from({ length: 2000 }, (_, n) => {
    const shown = [...ids.slice(n % 20), ...ids.slice(0, n % 20)];
    const clicked = shown.filter((id, at) => next() < 1 / (1 + at) && next() < (starsOf(id) ?? 0) / 4);
    return JSON.stringify({ query: "q", ranker: `${n % 20}`, shown, clicked });
  });
  writeFileSync(path, `${lines.join("\n")}\n`);
  const clicks = await ClickLog.load(path);
  assert.equal(clicks.size, 2000);
  const propensities = await clicks.propensities({ ranks: 20, monotone: true });
  assert.ok(propensities[0] === 1 && Math.abs(propensities[1] - 0.5) < 0.1 && propensities[9] < 0.2, `${propensities}`);
  assert.equal((await clicks.propensities({ method: "em", ranks: 5 })).length, 5);
  const relevance = (await clicks.relevance(propensities)).get("q");
  assert.ok(relevance.get("inn-4") > 2 * relevance.get("inn-1"), JSON.stringify([...relevance]));
  const history = await clicks.history();
  assert.equal(history.length, 20);
  assert.ok(history.every(({ impressions }) => impressions === 2000));
  assert.equal(history.reduce((sum, { clicks }) => sum + clicks, 0), clicks.clicks);
  const log = await engine.logFeatures({ q: "inn by the lake" });
  const training = await clicks.training(log, [...propensities]);
  const ranker = await Ranker.train({ ...training, schema: log.schema, numTrees: 10 });
  const scores = await ranker.score(log.x);
  const score = (id) => scores[log.documentIds.indexOf(id)];
  assert.ok(score("inn-4") > score("inn-2") && score("inn-2") > score("inn-0"));
  const { gain, logged, warnings, doublyRobust } = await clicks.evaluate({ q: { "inn-4": 2, "inn-10": 1 } }, propensities, { k: 2 });
  assert.ok(gain.low > 0 && doublyRobust.value > logged.value && logged.standardError > 0, JSON.stringify({ gain, logged, doublyRobust }));
  assert.ok(Array.isArray(warnings));
  await assert.rejects(clicks.propensities({ method: "guess" }), invalid(/`method`/));
  await assert.rejects(clicks.propensities({ ranks: 1.5 }), invalid(/`ranks` is 1.5/));
  await assert.rejects(clicks.relevance("1"), invalid("`propensities` is a string; give an array of numbers"));
  await assert.rejects(clicks.relevance([0]), { code: "invalid_argument" });
  await assert.rejects(clicks.training({}, propensities), invalid("`log` is an Object; give a FeatureLog"));
  writeFileSync(path, '{"query": "q", "shown": [3]}\n');
  await assert.rejects(ClickLog.load(path), { code: "invalid_argument" });
});
