import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";

import { FeatureSchema, Ranker } from "rag-core";

import { folder, ragError, ROOT } from "./support.mjs";

const invalid = (message) => ragError("invalid_argument", message);

/** Random numbers that are the same each time. */
function random(seed) {
  let state = seed;
  return () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0), state / 2 ** 32);
}

/** Queries of 20 documents whose grades follow from two of four features. */
function ranking(queries, seed = 1) {
  const [next, size, columns] = [random(seed), 20, 4];
  const X = Array.from({ length: queries * size }, () => [next(), next(), next(), next() < 0.2 ? null : next()]);
  const y = X.map(([a, b]) => Math.min(4, Math.floor(2.5 * a + 2.5 * b)));
  const x = Float32Array.from(X.flat(), (value) => value ?? NaN);
  return { X, x, columns, y, group: Array(queries).fill(size) };
}

const { X, x, columns, y, group } = ranking(40);
const few = { X, y, group, numTrees: 20, minDataInLeaf: 5 };

test("a ranker learns, and says how well", async () => {
  const valid = ranking(10, 7);
  const ranker = await Ranker.train({ ...few, valid, evalAt: [5, 10], featureNames: ["a", "b", "c", "d"], seed: 3n });
  assert.deepEqual([ranker.numTrees, ranker.numFeatures, ranker.schema], [20, 4, null]);
  assert.deepEqual(ranker.featureNames, ["a", "b", "c", "d"]);
  const { library, parameters, curves, metrics } = ranker.training;
  assert.match(library, /^rag-ltr \d/);
  assert.deepEqual([parameters.num_trees, parameters.min_data_in_leaf, parameters.seed], [20, 5, 3]);
  assert.deepEqual(Object.keys(curves).sort(), ["train ndcg@10", "train ndcg@5", "valid ndcg@10", "valid ndcg@5"]);
  assert.equal(curves["valid ndcg@5"].length, 20);
  assert.ok(metrics["valid ndcg@5"] > 0.9, `${metrics["valid ndcg@5"]}`);
  const [gain, split] = [ranker.featureImportance(), ranker.featureImportance("split")];
  assert.ok(gain[0] > 10 * gain[2] && gain[1] > 10 * gain[3], `${gain}`);
  assert.equal(split.reduce((sum, count) => sum + count) % 1, 0);
  assert.throws(() => ranker.featureImportance("weight"), invalid(/"gain" and "split"/));
});

test("rows come as rows or as one array, and the scores are the same", async () => {
  const [byRows, flat] = [await Ranker.train(few), await Ranker.train({ ...few, X: x, columns, y: Uint8Array.from(y) })];
  const scores = await byRows.score(X);
  assert.deepEqual(await flat.score(x), scores);
  assert.deepEqual(await flat.score(x, { columns }), scores);
  assert.deepEqual(await flat.score(X.map((row) => Float64Array.from(row, (value) => value ?? NaN))), scores);
  assert.deepEqual(await flat.score(X.map((row) => row.map((value) => value ?? undefined))), scores);
  assert.ok(scores instanceof Float64Array && scores.length === X.length);
  assert.deepEqual(await flat.score([]), new Float64Array());
  assert.deepEqual(await flat.score(new Float32Array()), new Float64Array());
  const many = new Float32Array(columns * 5000).fill(0.5);
  assert.deepEqual(new Set(await flat.score(many)), new Set(await flat.score(many.subarray(0, columns))));
});

test("a seed gives the same model at any number of threads", async () => {
  const how = { ...few, featureFraction: 0.5, baggingFraction: 0.5, baggingFreq: 1, seed: 5 };
  const scores = async (more) => (await Ranker.train({ ...how, ...more })).score(x);
  const first = await scores({ threads: 1 });
  assert.deepEqual(await scores({ threads: 3 }), first);
  assert.notDeepEqual(await scores({ seed: 6 }), first);
});

test("files keep a model to the bit", async (t) => {
  const path = folder(t);
  const schema = new FeatureSchema(["a", "b", "c", "d"], { kinds: ["numeric", "numeric", "numeric", "numeric"], version: 2 });
  const ranker = await Ranker.train({ ...few, schema });
  const scores = await ranker.score(x);
  for (const format of ["rag", "lightgbm", undefined]) {
    const file = join(path, `${format}`);
    await ranker.save(file, { format });
    const loaded = await Ranker.load(file);
    assert.deepEqual(await loaded.score(x), scores);
    assert.deepEqual(loaded.featureNames, schema.names);
    assert.equal(loaded.schema, format === "lightgbm" ? null : schema.id);
    assert.deepEqual(loaded.training, format === "lightgbm" ? null : ranker.training);
    const bytes = await ranker.toBytes({ format });
    assert.deepEqual(Buffer.from(bytes), readFileSync(file));
    assert.deepEqual(await (await Ranker.fromBytes(bytes)).score(x), scores);
    assert.deepEqual(await (await Ranker.fromBytes(readFileSync(file))).score(x), scores);
  }
  await assert.rejects(ranker.save(join(path, "x"), { format: "pmml" }), invalid(/`format`/));
  await assert.rejects(Ranker.load(join(path, "none")), { code: "not_found" });
  writeFileSync(join(path, "broken"), "tree\nversion=v4\nnum_class=1\n");
  await assert.rejects(Ranker.load(join(path, "broken")), (error) => error.code === "invalid_argument" && /broken/.test(error.context.file));
  await assert.rejects(Ranker.fromBytes("text"), invalid(/`bytes` is a string/));
});

test("models of LightGBM answer what LightGBM answers", async () => {
  const file = join(ROOT, "../../rag-ltr/tests/fixtures/lightgbm/v4.json.gz");
  const cases = JSON.parse(gunzipSync(readFileSync(file)).toString()).cases.filter((one) => one.text && one.predictions);
  const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex")).buffer;
  assert.ok(cases.length > 5);
  for (const { name, columns, text, rows, margins, predictions } of cases) {
    const ranker = await Ranker.fromBytes(Buffer.from(text));
    const given = new Float32Array(bytes(rows));
    assert.deepEqual(await ranker.score(given, { columns }), new Float64Array(bytes(predictions)), name);
    assert.deepEqual(await ranker.margin(given, { columns }), new Float64Array(bytes(margins)), name);
  }
});

test("what the features add sums to the margin", async () => {
  const labels = y.map((grade) => Number(grade > 2));
  for (const ranker of [
    await Ranker.train({ ...few, y: labels, objective: "binary" }),
    await Ranker.trainLinear({ X, y: labels, objective: "logistic" }),
  ]) {
    const [{ contributions, expected }, margins, scores] = [await ranker.explain(X), await ranker.margin(X), await ranker.score(X)];
    for (const [row, margin] of margins.entries()) {
      const sum = contributions.subarray(row * columns, (row + 1) * columns).reduce((sum, value) => sum + value, expected);
      assert.ok(Math.abs(sum - margin) < 1e-9, `row ${row}: ${sum}, not ${margin}`);
      assert.ok(Math.abs(scores[row] - 1 / (1 + Math.exp(-margin))) < 1e-12);
    }
  }
});

test("weighted sums are learnt in four ways", async () => {
  for (const [objective, more] of [["ridge", { l2: 0.1 }], ["pairwise", { byQuery: true }], ["coordinate", { k: 5, restarts: 1, sweeps: 5 }]]) {
    const ranker = await Ranker.trainLinear({ X, y, group, objective, ...more });
    const weights = ranker.featureImportance();
    assert.ok(weights[0] > 3 * Math.abs(weights[2]) && weights[1] > 3 * Math.abs(weights[3]), `${objective}: ${weights}`);
    assert.deepEqual(ranker.featureImportance("weight"), weights);
    assert.equal(ranker.numTrees, null);
  }
  await assert.rejects(Ranker.trainLinear({ X, y, objective: "trees" }), invalid(/`objective` is `trees`.*coordinate/));
  await assert.rejects(Ranker.trainLinear({ X, y, numTrees: 3 }), invalid(/`num_trees`/));
});

test("progress is told tree by tree, and may end the training", async () => {
  const seen = [];
  const ranker = await Ranker.train({ ...few, onProgress: (step) => void seen.push(step) });
  assert.deepEqual(seen.map(({ iteration }) => iteration), Array.from({ length: 20 }, (_, at) => at + 1));
  assert.ok(seen.every(({ numTrees }) => numTrees === 20));
  assert.deepEqual(seen.map(({ metrics }) => metrics["train ndcg@10"]), ranker.training.curves["train ndcg@10"]);
  const short = await Ranker.train({ ...few, onProgress: ({ iteration }) => iteration < 7 });
  assert.equal(short.numTrees, 7);
  const mine = { any: "thing" };
  await assert.rejects(
    Ranker.train({
      ...few,
      onProgress() {
        throw mine;
      },
    }),
    (error) => error === mine,
  );
});

test("a training can be aborted, and has a deadline", async () => {
  const stop = new AbortController();
  const next = random(3);
  const long = { ...few, y: y.map(next), objective: "regression", learningRate: 1e-4, numTrees: 1_000_000 };
  let trees = 0;
  const training = Ranker.train({
    ...long,
    signal: stop.signal,
    onProgress({ iteration }) {
      trees = iteration;
      if (iteration === 5) setImmediate(() => stop.abort());
    },
  });
  await assert.rejects(training, (error) => error === stop.signal.reason);
  assert.ok(trees >= 5 && trees < 10_000, `${trees} trees`);
  await assert.rejects(Ranker.train({ ...long, signal: AbortSignal.timeout(50) }), { name: "TimeoutError" });
  await assert.rejects(Ranker.train({ ...long, timeoutMs: 50 }), { code: "deadline_exceeded" });
  const reason = { mine: true };
  await assert.rejects(Ranker.train({ ...few, signal: AbortSignal.abort(reason) }), (error) => error === reason);
  await assert.rejects(Ranker.trainLinear({ ...few, signal: AbortSignal.abort(reason) }), (error) => error === reason);
});

test("early stopping keeps the best trees", async () => {
  const valid = ranking(10, 9);
  const ranker = await Ranker.train({ ...few, numTrees: 500, valid, earlyStoppingRounds: 5 });
  assert.ok(ranker.numTrees < 500);
  await assert.rejects(Ranker.train({ ...few, earlyStoppingRounds: 5 }), invalid(/validation/));
});

test("what cannot be learnt from is told", async () => {
  const train = (more) => Ranker.train({ ...few, ...more });
  await assert.rejects(train({ X: undefined }), invalid("`X` is missing; give a Float32Array, or an array of rows"));
  await assert.rejects(train({ X: x }), invalid(/`columns` is missing/));
  await assert.rejects(train({ X: x, columns: 0 }), invalid(/no columns/));
  await assert.rejects(train({ X: x, columns: 1.5 }), invalid(/`columns` is 1.5/));
  await assert.rejects(train({ X: x, columns: "4" }), invalid("`columns` is a string; give a number"));
  await assert.rejects(train({ X: [[1, 2], [3]] }), invalid("`X`, row 1 has 1 values, not 2; give rows of one length"));
  await assert.rejects(train({ X: [[1, "2"]] }), invalid(/`X`, row 0 has a string at position 1/));
  await assert.rejects(train({ X: [1, 2] }), invalid("`X`, row 0 is a number; give an array of numbers"));
  await assert.rejects(train({ X: new Float32Array(new SharedArrayBuffer(16)), columns: 4 }), invalid(/SharedArrayBuffer/));
  await assert.rejects(train({ X: [] }), { code: "invalid_argument" });
  await assert.rejects(train({ y: undefined }), invalid("`y` is missing; give an array of numbers"));
  await assert.rejects(train({ y: y.slice(1) }), invalid(/799.*800|800.*799/));
  await assert.rejects(train({ y: y.with(3, "1") }), invalid("`y` has a string at position 3; give numbers"));
  await assert.rejects(train({ y: y.with(3, 1.5) }), invalid(/1.5/));
  await assert.rejects(train({ group: undefined }), { code: "invalid_argument" });
  await assert.rejects(train({ group: [-1] }), invalid("`group` has -1 at position 0; give whole numbers, at least 0"));
  await assert.rejects(train({ group: [3] }), { code: "invalid_argument" });
  await assert.rejects(train({ weights: [1] }), { code: "invalid_argument" });
  await assert.rejects(train({ inversePropensities: "1" }), invalid("`inversePropensities` is a string; give an array of numbers"));
  await assert.rejects(train({ valid: { X: [[1]], y: [0], group: [1] } }), invalid(/validation has 1 columns/));
  await assert.rejects(train({ valid: { X: [[1, "2"]] } }), invalid(/`valid.X`, row 0/));
  await assert.rejects(train({ learningRate: NaN }), invalid("`learningRate` is NaN; give a finite number"));
  await assert.rejects(train({ learningRate: 0 }), invalid(/learning_rate/));
  await assert.rejects(train({ numTree: 7 }), invalid(/`num_tree`/));
  await assert.rejects(train({ objective: "rank" }), invalid(/`objective`/));
  await assert.rejects(train({ featureNames: ["a"] }), { code: "invalid_argument" });
  await assert.rejects(train({ schema: "v1" }), invalid("`schema` is a string; give a FeatureSchema"));
  await assert.rejects(train({ schema: new FeatureSchema(["a"]) }), { code: "schema_mismatch" });
  await assert.rejects(train({ onProgress: 7 }), invalid("`onProgress` is a number; give a function"));
  const ranker = await train({});
  await assert.rejects(ranker.score([[1, 2]]), { code: "invalid_argument" });
  await assert.rejects(ranker.score(new Float32Array(7)), { code: "invalid_argument" });
  await assert.rejects(ranker.score("x"), invalid(/`X` is a string/));
  await assert.rejects(ranker.explain([[1]]), { code: "invalid_argument" });
});

test("arrays may be changed once a call has them", async () => {
  const ranker = await Ranker.train(few);
  const scores = await ranker.score(x);
  const given = x.slice();
  const later = ranker.score(given);
  structuredClone(given, { transfer: [given.buffer] });
  assert.deepEqual(await later, scores);
  await assert.rejects(ranker.score(given), invalid(/transferred/));
});

test("schemas tell features apart", () => {
  const schema = new FeatureSchema(["bm25", "open"], { kinds: ["numeric", "boolean"], version: 3 });
  assert.deepEqual([schema.version, schema.names, schema.kinds], [3, ["bm25", "open"], ["numeric", "boolean"]]);
  assert.match(schema.hash, /^[0-9a-f]{64}$/);
  assert.equal(schema.id, `v3:${schema.hash.slice(0, 12)}`);
  assert.deepEqual(new FeatureSchema(["bm25"]).kinds, ["numeric"]);
  assert.equal(new FeatureSchema(["bm25"], { version: 3 }).id, "v3:52c2e968bc9a");
  assert.throws(() => new FeatureSchema(["a", "a"]), invalid(/`a` twice/));
  assert.throws(() => new FeatureSchema([]), invalid(/0 features/));
  assert.throws(() => new FeatureSchema(["a"], { kinds: ["text"] }), invalid(/"text"/));
  assert.throws(() => new FeatureSchema(["a"], { kinds: [] }), invalid(/`kinds` has 0 values for 1 names/));
  assert.throws(() => new FeatureSchema(["a"], { version: -1 }), invalid(/`version` is -1/));
  const meant = new FeatureSchema(["bm25", "open"], { kinds: schema.kinds, meanings: [null, "from 9 to 5"], version: 3 });
  assert.deepEqual([meant.meanings, schema.meanings], [[null, "from 9 to 5"], [null, null]]);
  assert.notEqual(meant.hash, schema.hash);
  assert.throws(() => new FeatureSchema(["a"], { meanings: [] }), invalid(/`meanings` has 0 values for 1 names/));
  assert.throws(() => new FeatureSchema(["a"], { meanings: [3] }), invalid(/`meanings`/));
  assert.throws(() => new FeatureSchema(["a"], { meanings: "a" }), invalid(/`meanings`/));
  assert.throws(() => new FeatureSchema("a"), invalid(/`names` is a string/));
});
