// Opens and closes an engine, trains rankers, and searches a vector index, again and again; fails when memory grows.
//
//     node --expose-gc bench/soak.mjs [--cycles 1000] [--queries 2000000]

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { Engine, Ranker, VectorIndex } from "rag-core";

const { values } = parseArgs({
  options: { cycles: { type: "string", default: "1000" }, queries: { type: "string", default: "2000000" } },
});
const [cycles, queries] = [Number(values.cycles), Number(values.queries)];

/** MiB that stay after a collection. */
async function resident() {
  for (let i = 0; i < 3; i += 1) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage.rss() / 2 ** 20;
}

/** Runs `step` some times; the growth in the second half must stay below `limit` MiB. */
async function flat(name, times, limit, step) {
  let start = 0;
  for (let i = 0; i < times; i += 1) {
    if (i === Math.floor(times / 2)) start = await resident();
    await step(i);
  }
  const end = await resident();
  console.log(`${name}: ${times} times, ${start.toFixed(0)} MiB after half of them, ${end.toFixed(0)} MiB at the end`);
  if (end - start > limit) {
    console.error(`${name}: grew by ${(end - start).toFixed(1)} MiB; at most ${limit} are allowed`);
    process.exitCode = 1;
  }
}

const folder = await mkdtemp(join(tmpdir(), "rag-core-soak-"));
try {
  await flat("open, upsert, search, close", cycles, 24, async (i) => {
    const featureFunctions = { "my.i": async (_, documents) => documents.map(({ metadata }) => metadata.i) };
    const engine = await Engine.open(join(folder, "data"), { featureFunctions });
    await engine.upsert([{ id: `${i % 50}`, text: `document ${i}`, metadata: { i } }]);
    await engine.commit();
    await engine.search("document", { k: 5, explain: true });
    await engine.logFeatures({ q: "document" });
    await engine.close();
  });

  const X = Array.from({ length: 200 }, (_, row) => [row % 7, row % 11]);
  const data = { X, y: X.map(([grade]) => grade % 3), group: [100, 100], numTrees: 10, threads: 1 };
  await flat("trainings and scores", cycles * 5, 24, async () => {
    const ranker = await Ranker.train({ ...data, onProgress() {} });
    await Promise.all([ranker.score(X), ranker.explain(X), ranker.toBytes()]);
  });

  const [dimension, size, together] = [32, 200, 20];
  const index = new VectorIndex(dimension);
  const base = Float32Array.from({ length: dimension * size }, () => Math.random() - 0.5);
  await index.add(BigUint64Array.from({ length: size }, (_, i) => BigInt(i)), base);
  await flat(`${together} searches of a vector index`, Math.floor(queries / together), 24, (i) => {
    const query = base.subarray((i % size) * dimension, ((i % size) + 1) * dimension);
    return Promise.all(Array.from({ length: together }, () => index.search(query, { k: 10 })));
  });
} finally {
  await rm(folder, { recursive: true });
}
