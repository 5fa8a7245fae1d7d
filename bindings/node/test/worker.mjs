// Works on a folder and on an index of its own until it is told to stop, or ended.

import { parentPort, workerData } from "node:worker_threads";

import { Engine, VectorIndex } from "rag-core";

const { folder, rounds } = workerData;
const engine = await Engine.open(folder);
const index = new VectorIndex(32);
let found = 0;
for (let round = 0; round < rounds; round += 1) {
  const ids = BigUint64Array.from({ length: 500 }, (_, i) => BigInt(round * 500 + i));
  const values = Float32Array.from({ length: 500 * 32 }, () => Math.random() - 0.5);
  const documents = Array.from({ length: 200 }, (_, i) => ({ id: `${round}-${i}`, text: `document ${i} of round ${round}` }));
  const calls = [engine.upsert(documents).then(() => engine.commit()), index.add(ids, values)];
  parentPort.postMessage("working");
  await Promise.all(calls);
  found += (await engine.search(`round ${round}`)).hits.length;
  found += (await index.search(values.subarray(0, 32), { k: 1 })).ids.length;
}
await engine.close();
parentPort.postMessage({ found, size: index.size });
