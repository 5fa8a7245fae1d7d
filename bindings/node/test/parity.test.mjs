// The cases of `bindings/parity` through Node; see the README there.

import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import * as rag from "rag-core";

import { folder, ROOT } from "./support.mjs";

const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const CASES = read(join(ROOT, "../parity/cases.json"));
// What Rust gave on this machine, to be met exactly; else what it gave when it was blessed, to be met nearly.
const HERE = process.env.RAG_PARITY;
const EXPECTED = read(HERE ?? join(ROOT, "../parity/expected.json"));

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const floats = (vector) => Float32Array.from(vector.flat());
const integers = (ids) => BigUint64Array.from(ids, BigInt);

/** Python's arguments as the last argument of a function here; `null` is what is left out. */
function options(given) {
  const entries = Object.entries(given).filter(([, value]) => value !== null);
  const named = Object.fromEntries(entries.map(([name, value]) => [camel(name), value]));
  const { timeout, ...rest } = named;
  return timeout === undefined ? rest : { ...rest, timeoutMs: timeout * 1000 };
}

/** The same for a question, which may have a vector: its numbers, or the words that it is made of. */
async function asked({ vector, ...rest }) {
  const made = async ({ of }) => (await (await rag.Embedder.load()).encode([of], { kind: "query" })).data;
  return { ...options(rest), ...(vector && { vector: Array.isArray(vector) ? floats(vector) : await made(vector) }) };
}

/** A value in the shape of Python's `to_dict`. */
function plain(value) {
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, one]) => [name, plain(one)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [snake(name), plain(one)]));
  }
  if (Number.isNaN(value)) return "nan";
  return value === -Infinity ? "-inf" : (value ?? null);
}

/** Names of metadata and of metrics are the caller's, and what is absent here is None in Python. */
const served = (gate) => ({ weight: null, experiment: null, variant: null, token: null, ...gate });
const hit = ({ metadata, explain, ...hit }) => ({ ...plain(hit), metadata, explain: explain ? explanation(explain) : null });
const explanation = ({ score, fusion, runs, ltr, diversity }) => {
  const absent = { rank: null, score: null, normalized: null };
  return { score, fusion, runs: runs.map((run) => ({ ...absent, ...plain(run) })), ltr: ltr ? learned(ltr) : null, diversity: diversity ?? null };
};
const learned = ({ features, ...ltr }) => {
  const absent = { value: null, contribution: null };
  return { expected: null, ...plain(ltr), features: features.map((feature) => ({ ...absent, ...plain(feature) })) };
};
const answer = ({ hits, gate, ...rest }) => ({ ...plain(rest), gate: served(gate), hits: hits.map(hit) });

/** What was told of a gate, without what is another each time. */
const toldOfGate = (value) => JSON.parse(JSON.stringify(value), (name, one) => (["at_us", "key"].includes(name) ? undefined : one));
/** A change of a gate: what is changed, and why. */
function change(method, ...names) {
  return async ({ gate }, given) => {
    const first = names.map((name) => given[name]);
    const { author, reason, issue, expect } = given;
    return toldOfGate(await gate[method](...first, { author, reason, issue, expect }));
  };
}

const rows = (values, width) =>
  Array.from({ length: values.length / width }, (_, row) => [...values.subarray(row * width, (row + 1) * width)]);

/** How an engine of features is opened: with a configuration, and with functions that give numbers of the metadata. */
function opened({ folder }, { config, functions = [] }) {
  const number = (field) => (_, documents) =>
    documents.map(({ metadata }) => (typeof metadata[field] === "number" ? metadata[field] : null));
  const featureFunctions = Object.fromEntries(functions.map((field) => [`my.${field}`, number(field)]));
  if (config === undefined) return { featureFunctions };
  writeFileSync(join(folder, "config.toml"), config);
  return { featureFunctions, config: join(folder, "config.toml") };
}

/** What a ranker is trained on: rows that stand there, or those of the log. */
async function training(state, { log, qrels, schema, valid, ...rest }) {
  const [X, y, group] = valid ?? [];
  const how = { ...options(rest), ...(valid && { valid: { X, y, group } }), ...(schema && { schema: state.schema }) };
  if (!log) return how;
  return { ...how, X: state.log.x, columns: state.log.columns, y: await state.log.labels(qrels), group: state.log.group };
}

const told = ({ id, version, names, kinds, meanings, hash }) => ({ id, version, names, kinds, meanings, hash });

/** Each call of Python by what it is here. */
const CALLS = {
  "Engine.open": async (state, given) => {
    state.engine = await rag.Engine.open(join(state.folder, "data"), opened(state, given));
  },
  "Engine.feature_schema": (state) => told((state.schema = state.engine.featureSchema())),
  "Engine.set_ranker": ({ engine, ranker }, { ranker: isOurs, ...rest }) => engine.setRanker(isOurs ? ranker : null, options(rest)),
  "Engine.ranker": async ({ engine, ranker, log }) => {
    const seen = async (one) => ({ training: one.training, schema: one.schema, margins: await one.margin(log.x) });
    return engine.ranker && isDeepStrictEqual(await seen(engine.ranker), await seen(ranker));
  },
  "Engine.set_click_history": ({ engine }, { rows, ...rest }) =>
    engine.setClickHistory(rows.map(([id, impressions, clicks]) => ({ id, impressions, clicks })), options(rest)),
  "Engine.log_features": async (state, { queries, now, ...rest }) => {
    state.log = await state.engine.logFeatures(queries, { ...options(rest), now: now && new Date(now * 1000) });
  },
  "FeatureSchema.new": (state, { names, ...rest }) => told((state.schema = new rag.FeatureSchema(names, options(rest)))),
  "FeatureLog.X": ({ log }) => plain(rows(log.x, log.columns)),
  "FeatureLog.group": ({ log }) => [...log.group],
  "FeatureLog.query_ids": ({ log }) => log.queryIds,
  "FeatureLog.document_ids": ({ log }) => log.documentIds,
  "FeatureLog.names": ({ log }) => log.names,
  "FeatureLog.schema": ({ log }) => told(log.schema),
  "FeatureLog.len": ({ log }) => log.documentIds.length,
  "FeatureLog.labels": async ({ log }, { qrels }) => [...(await log.labels(qrels))],
  "FeatureLog.to_svmlight": async ({ log, folder }, { path, qrels }) => {
    await log.toSvmlight(join(folder, path), qrels);
    return readFileSync(join(folder, path), "utf8");
  },
  "ClickLog.load": async (state, { text }) => {
    writeFileSync(join(state.folder, "clicks.jsonl"), text);
    state.clicks = await rag.ClickLog.load(join(state.folder, "clicks.jsonl"));
  },
  "ClickLog.len": ({ clicks }) => clicks.size,
  "ClickLog.clicks": ({ clicks }) => clicks.clicks,
  "ClickLog.propensities": async ({ clicks }, given) => [...(await clicks.propensities(options(given)))],
  "ClickLog.relevance": async ({ clicks }, { propensities }) => plain(await clicks.relevance(propensities)),
  "ClickLog.training": async ({ clicks, log }, { propensities }) => {
    const { X, columns, y, group, inversePropensities } = await clicks.training(log, propensities);
    return { X: plain(rows(X, columns)), y: [...y], group: [...group], inverse_propensities: [...inversePropensities] };
  },
  "ClickLog.history": async ({ clicks }) => (await clicks.history()).map(({ id, impressions, clicks }) => [id, impressions, clicks]),
  "ClickLog.evaluate": async ({ clicks }, { run, propensities, ...rest }) =>
    plain(await clicks.evaluate(run, propensities, options(rest))),
  "Ranker.load": async (state, { path }) => {
    state.ranker = await rag.Ranker.load(join(state.folder, path));
  },
  "Ranker.from_bytes": async (state, { text }) => {
    state.ranker = await rag.Ranker.fromBytes(text === undefined ? state.bytes : new TextEncoder().encode(text));
  },
  "Ranker.train": async (state, given) => {
    state.ranker = await rag.Ranker.train(await training(state, given));
  },
  "Ranker.train_linear": async (state, given) => {
    state.ranker = await rag.Ranker.trainLinear(await training(state, given));
  },
  "Ranker.save": ({ ranker, folder }, { path, ...rest }) => ranker.save(join(folder, path), options(rest)),
  "Ranker.to_bytes": async (state, given) => {
    state.bytes = await state.ranker.toBytes(options(given));
  },
  "Ranker.score": async ({ ranker }, { X }) => [...(await ranker.score(X))],
  "Ranker.margin": async ({ ranker }, { X }) => [...(await ranker.margin(X))],
  "Ranker.explain": async ({ ranker }, { X }) => {
    const { contributions, expected } = await ranker.explain(X);
    return [rows(contributions, X[0].length), expected];
  },
  "Ranker.feature_names": ({ ranker }) => ranker.featureNames,
  "Ranker.num_features": ({ ranker }) => ranker.numFeatures,
  "Ranker.num_trees": ({ ranker }) => ranker.numTrees,
  "Ranker.feature_importance": ({ ranker }, { kind }) => [...ranker.featureImportance(kind)],
  "Ranker.training": ({ ranker }) => ranker.training,
  "Ranker.schema": ({ ranker }) => ranker.schema,
  "Engine.upsert": async ({ engine }, { documents, ...rest }) => plain(await engine.upsert(documents, options(rest))),
  "Engine.delete": ({ engine }, { ids, ...rest }) => engine.delete(ids, options(rest)),
  "Engine.commit": ({ engine }) => engine.commit(),
  "Engine.rollback": ({ engine }) => engine.rollback(),
  "Engine.search": async ({ engine }, { text, ...rest }) => answer(await engine.search(text, await asked(rest))),
  "Engine.search_many": async ({ engine }, { texts, ...rest }) => (await engine.searchMany(texts, options(rest))).map(answer),
  "Engine.explain": async ({ engine }, { text, id, ...rest }) => {
    const found = await engine.explain(text, id, await asked(rest));
    return found && hit(found);
  },
  "Engine.get": ({ engine }, { id, ...rest }) => engine.get(id, options(rest)),
  "Engine.ids": ({ engine }, given) => engine.ids(options(given)),
  "Engine.stats": async ({ engine }, given) => {
    const { bytesStore, bytesLexical, bytesVectors, ...rest } = await engine.stats(options(given));
    assert.ok([bytesStore, bytesLexical, bytesVectors].every((bytes) => bytes >= 0));
    return plain(rest);
  },
  "Engine.verify": async ({ engine }) => plain(await engine.verify()),
  "Engine.compact": ({ engine }) => engine.compact(),
  "Engine.tune": ({ engine }, { queries, qrels, ...rest }) => engine.tune(queries, qrels, options(rest)),
  "Engine.gate": (state) => {
    state.gate = state.engine.gate;
  },
  "Gate.open": async (state, { key }) => {
    writeFileSync(join(state.folder, "gate-key"), key);
    state.gate = await rag.Gate.open(join(state.folder, "data"), { keyFile: join(state.folder, "gate-key") });
  },
  "Gate.set_weight": change("setWeight", "weight"),
  "Gate.kill": change("kill"),
  "Gate.revive": change("revive"),
  "Gate.start_experiment": change("startExperiment", "experiment"),
  "Gate.end_experiment": change("endExperiment", "name"),
  "Gate.start_canary": change("startCanary", "plan"),
  "Gate.resume_canary": change("resumeCanary"),
  "Gate.abort_canary": change("abortCanary"),
  "Gate.status": async ({ gate }) => toldOfGate(await gate.status()),
  "Gate.records": async ({ gate }) => toldOfGate(await gate.records()),
  "Gate.assign": ({ gate }, { user, query }) => gate.assign(user, query),
  "Gate.observe": ({ gate }, { token, ...rest }) => gate.observe(token, options(rest)),
  "Gate.observe_quality": ({ gate }, { token, quality }) => gate.observeQuality(token, quality),
  "Gate.tick": ({ gate }) => gate.tick(),
  "Engine.repairs": ({ engine }) => engine.repairs,
  "Engine.close": ({ engine }) => engine.close(),
  "Embedder.load": async (state, { path, ...rest }) => {
    state.embedder = await rag.Embedder.load(path, options(rest));
  },
  "Embedder.encode": async ({ embedder }, { texts, ...rest }) => {
    const { data, dimension } = await embedder.encode(texts, options(rest));
    return rows(data, dimension);
  },
  "Embedder.dimension": ({ embedder }) => embedder.dimension,
  "Embedder.max_tokens": ({ embedder }) => embedder.maxTokens,
  "Embedder.name": ({ embedder }) => embedder.name,
  "VectorIndex.new": (state, { dim, ...rest }) => {
    state.index = new rag.VectorIndex(dim, options(rest));
  },
  "VectorIndex.load": async (state, { path, ...rest }) => {
    state.index = await rag.VectorIndex.load(join(state.folder, path), options(rest));
  },
  "VectorIndex.save": ({ index, folder }, { path }) => index.save(join(folder, path)),
  "VectorIndex.add": ({ index }, { ids, vectors }) => index.add(integers(ids), floats(vectors)),
  "VectorIndex.remove": ({ index }, { ids }) => index.remove(integers(ids)),
  "VectorIndex.build": ({ index }) => index.build(),
  "VectorIndex.search": async ({ index }, { q, allow, ...rest }) => {
    const given = { ...options(rest), ...(allow && { allow: integers(allow) }) };
    const found = await index.search(floats(q), given);
    const [ids, scores] = [[...found.ids].map(String), [...found.scores].map(plain)];
    if (!Array.isArray(q[0])) return { ids, scores };
    const split = (values) => q.map((_, row) => values.slice(row * rest.k, (row + 1) * rest.k));
    return { ids: split(ids), scores: split(scores) };
  },
  "VectorIndex.len": ({ index }) => index.size,
  "VectorIndex.dim": ({ index }) => index.dimension,
  "VectorIndex.contains": ({ index }, { id }) => index.has(BigInt(id)),
  fuse: async (_, { runs, ...rest }) =>
    [...(await rag.fuse(runs, options(rest)))].map(([query, documents]) => [query, [...documents]]),
  learn_fusion: (_, { runs, qrels, ...rest }) => rag.learnFusion(runs, qrels, options(rest)),
  evaluate: async (_, { qrels, run, metrics, ...rest }) => {
    const values = await rag.evaluate(qrels, run, metrics, options(rest));
    return values instanceof Map ? Object.fromEntries(values) : values;
  },
};

/** What one step gives. */
async function answered(state, step) {
  const given = step.with.documents === "$documents" ? { ...step.with, documents: CASES.documents } : step.with;
  try {
    return { result: (await CALLS[step.call](state, given)) ?? null };
  } catch (error) {
    if (!(error instanceof rag.RagError)) throw error;
    return { error: { kind: error.code, message: error.message.replaceAll(state.folder + sep, "") } };
  }
}

function alike(a, b) {
  if (typeof a === "number" && typeof b === "number" && !HERE) return Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b));
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const names = Object.keys(a);
  if (Array.isArray(a) !== Array.isArray(b) || names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && alike(a[name], b[name]));
}

test("Node gives what Rust gives", async (t) => {
  const state = {};
  t.after(() => state.engine?.close());
  state.folder = folder(t);
  for (const step of CASES.steps) {
    if (!(step.only ?? ["node"]).includes("node")) continue;
    assert.ok(CALLS[step.call], `${step.call} is not called from here`);
    const ours = await answered(state, step);
    if (process.env.RAG_PARITY_OUT) {
      appendFileSync(process.env.RAG_PARITY_OUT, `${JSON.stringify({ name: step.name, ...ours })}\n`);
    }
    // What Rust has no call for says itself how it is refused.
    const expected = step.expect ? { error: step.expect } : EXPECTED[step.name];
    assert.ok(expected, `${step.name} has no result of Rust, and no \`expect\``);
    assert.ok(alike(ours, expected), `${step.name}: ${JSON.stringify(ours)}, not ${JSON.stringify(expected)}`);
  }
});

test("everything public has a step", () => {
  const special = { "VectorIndex.size": "VectorIndex.len", "ClickLog.size": "ClickLog.len", "VectorIndex.dimension": "VectorIndex.dim", "VectorIndex.has": "VectorIndex.contains" };
  const classes = ["Engine", "Embedder", "VectorIndex", "Ranker", "FeatureLog", "ClickLog", "Gate"];
  const values = ["Answer", "RagError", "ERROR_CODES", "FeatureSchema"];
  assert.deepEqual(Object.keys(rag).sort(), [...classes, ...values, "evaluate", "fuse", "learnFusion"].sort(), "a new name needs steps");
  const inherited = ["constructor", "length", "name", "prototype"];
  const called = new Set([...CASES.steps.map((step) => step.call), ...Object.keys(CASES.exempt)]);
  const missing = classes.flatMap((kind) => {
    const own = Object.getOwnPropertyNames(rag[kind]).filter((name) => !inherited.includes(name));
    const methods = Object.getOwnPropertyNames(rag[kind].prototype).filter((name) => name !== "constructor");
    const names = [...own, ...methods].map((name) => `${kind}.${name}`);
    return names.map((name) => special[name] ?? snake(name).replace(/^_(.*)\._/, "$1.").replace(/^_.*?\./, `${kind}.`));
  });
  assert.deepEqual(missing.filter((name) => !called.has(name)), [], "neither a step nor an exemption in cases.json");
});
