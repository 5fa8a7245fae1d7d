import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";

import { Engine, Ranker, VectorIndex } from "rag-core";

import { folder, ROOT, run } from "./support.mjs";

const worker = (path, rounds) => new Worker(join(ROOT, "test/worker.mjs"), { workerData: { folder: path, rounds } });

async function outcome(worker) {
  for await (const [message] of on(worker)) if (typeof message === "object") return message;
}

async function* on(worker) {
  for (;;) yield Promise.race([once(worker, "message"), once(worker, "error").then(([error]) => Promise.reject(error))]);
}

test("worker threads work side by side", async (t) => {
  const path = folder(t);
  const workers = [0, 1, 2].map((number) => worker(join(path, `${number}`), 3));
  for (const result of await Promise.all(workers.map(outcome))) assert.deepEqual(result, { found: 33, size: 1500 });
  await Promise.all(workers.map((worker) => worker.terminate()));
});

test("a worker thread may be ended in the middle of its calls", async (t) => {
  const path = folder(t);
  for (let round = 0; round < 5; round += 1) {
    const ended = worker(join(path, `${round}`), 1000);
    await once(ended, "message");
    await sleep(round * 7);
    await ended.terminate();
  }
  await sleep(100);
  // The folder is free again, whole, and as of a commit.
  let engine;
  for (let tries = 0; !engine; tries += 1) {
    engine = await Engine.open(join(path, "4")).catch((error) => {
      if (error.code !== "conflict" || tries > 100) throw error;
      return sleep(50);
    });
  }
  const { documents } = await engine.stats();
  assert.equal(documents % 200, 0);
  assert.equal((await engine.verify()).documents, documents);
  await engine.close();
});

test("a process whose workers alone use the library ends well", (t) => {
  const path = folder(t);
  const program = `
    const { Worker } = require("node:worker_threads");
    const one = new Worker(${JSON.stringify(join(ROOT, "test/worker.mjs"))}, { workerData: { folder: ${JSON.stringify(path)}, rounds: 1000 } });
    one.once("message", () => setTimeout(() => one.terminate().then(() => setTimeout(() => console.log("well"), 500)), 20));
  `;
  assert.equal(run(process.execPath, ["-e", program], { cwd: ROOT }), "well\n");
});

test("the process may end in the middle of calls", (t) => {
  const program = `
    const { Engine } = require("rag-core");
    Engine.open(${JSON.stringify(join(folder(t), "data"))}).then((engine) => {
      engine.upsert(Array.from({ length: 20000 }, (_, i) => ({ id: String(i), text: "text " + i })));
      engine.search("text");
      setTimeout(() => process.exit(0), 100);
    });
  `;
  run(process.execPath, ["-e", program], { cwd: ROOT });
});

/** Longest time that the event loop was away while `work` went on, in milliseconds. */
async function longest(work) {
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  await work();
  await sleep(10); // what comes last is seen at the next tick
  delay.disable();
  return delay.max / 1e6;
}

// The bound is on the longest single delay of each call, less the longest of an idle second on the same machine: that much is
// the machine's. A delay that the machine adds once does not come three times, so a call has three attempts.
test("the event loop is never away for 20 ms", async (t) => {
  let engine;
  t.after(() => engine?.close());
  const featureFunctions = { "my.number": (_, documents) => documents.map(({ metadata }) => metadata.number) };
  engine = await Engine.open(join(folder(t), "data"), { featureFunctions });
  const words = Array.from({ length: 300 }, (_, i) => `word${i}`).join(" ");
  const documents = Array.from({ length: 5000 }, (_, i) => ({
    id: `${i}`,
    text: `${i} ${words}`,
    metadata: { number: i, name: `n${i}`, tags: ["a", "b"], nested: { field: i / 2 } },
  }));
  const ids = Array.from({ length: 200_000 }, (_, i) => `none-${i}`);
  const questions = Array.from({ length: 300 }, (_, i) => `word${i}`);
  const [keys, vectors] = [BigUint64Array.from({ length: 40_000 }, (_, i) => BigInt(i)), new Float32Array(40_000 * 256).fill(1)];
  const index = new VectorIndex(256);
  const values = Float32Array.from({ length: 200_000 * 20 }, (_, at) => (at * 7919) % 1009);
  const [rows, grades] = [values.subarray(0, 20_000 * 20), Array.from({ length: 20_000 }, (_, at) => ((at * 140) % 1009) % 5)];
  const how = { X: rows, columns: 20, y: grades, group: Array(200).fill(100), numTrees: 50 };
  let ranker;
  const calls = {
    "upsert of an array": () => engine.upsert(documents),
    "upsert of an iterator": () => engine.upsert(documents.values()),
    commit: () => engine.commit(),
    "search for 5000": () => engine.search("word7", { k: 5000, explain: true }),
    "searchMany for 300 × 50": () => engine.searchMany(questions, { k: 50, retrievers: ["lexical"] }),
    ids: () => engine.ids(),
    "delete of 200,000 ids": () => engine.delete(ids),
    "add of 40 MB": () => index.add(keys, vectors),
    training: async () => (ranker = await Ranker.train({ ...how, onProgress() {} })),
    "training of an array of rows": () => Ranker.train({ ...how, X: Array.from({ length: 20_000 }, () => Array(20).fill(1)), numTrees: 2 }),
    "scores of 200,000 rows": () => ranker.score(values),
    "explanations of 2000 rows": () => ranker.explain(values.subarray(0, 2000 * 20)),
    "features of 100 × 100 with a function": () => engine.logFeatures(questions.slice(0, 100).map((text, at) => [`${at}`, text])),
    "features of 5000 with a function": () => engine.logFeatures({ q: "word7" }, { k: 5000 }),
  };
  const idle = await longest(() => sleep(1000));
  for (const [name, work] of Object.entries(calls)) {
    const late = [];
    while (late.length < 3 && !(late.at(-1) < 20)) late.push((await longest(work)) - idle);
    t.diagnostic(`${name}: ${late.map((ms) => ms.toFixed(1)).join(", then ")} ms more than the ${idle.toFixed(1)} ms of idling`);
    assert.ok(late.at(-1) < 20, `${name}: away for ${late} ms`);
  }
});

test("memory stays flat over opening, closing and searching", () => {
  const args = ["--expose-gc", join(ROOT, "bench/soak.mjs"), "--cycles", "320", "--queries", "200000"];
  run(process.execPath, args, { cwd: ROOT });
});
