import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";

import { Engine } from "rag-core";

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

test("the event loop stays free while documents are indexed", async (t) => {
  let engine;
  t.after(() => engine?.close());
  engine = await Engine.open(join(folder(t), "data"));
  const words = Array.from({ length: 300 }, (_, i) => `word${i}`).join(" ");
  const documents = Array.from({ length: 5000 }, (_, i) => ({
    id: `${i}`,
    text: `${i} ${words}`,
    metadata: { number: i, name: `n${i}`, tags: ["a", "b"], nested: { field: i / 2 } },
  }));
  const resolution = 2;
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  await engine.upsert(documents);
  await engine.upsert(documents.values());
  await engine.commit();
  await engine.search("word7", { k: 100 });
  delay.disable();
  const lag = delay.percentile(99) / 1e6 - resolution;
  t.diagnostic(`99 of 100 turns of the event loop were late by ${lag.toFixed(1)} ms or less, the last by ${(delay.max / 1e6).toFixed(1)} ms`);
  assert.ok(lag < 20, `late by ${lag} ms`);
});

test("memory stays flat over opening, closing and searching", () => {
  const args = ["--expose-gc", join(ROOT, "bench/soak.mjs"), "--cycles", "160", "--queries", "200000"];
  run(process.execPath, args, { cwd: ROOT });
});
