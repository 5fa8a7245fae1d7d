// What scoring from JavaScript costs beyond the model itself, and how late the event loop is while a ranker is trained.
//
//     node bench/ltr.mjs

import { monitorEventLoopDelay } from "node:perf_hooks";

import { Ranker } from "rag-core";

const [columns, queries, size] = [46, 400, 50];
let state = 1;
const next = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0), state / 2 ** 32);
const X = Float32Array.from({ length: queries * size * columns }, next);
const y = Float32Array.from({ length: queries * size }, (_, row) => Math.floor(2.5 * (X[row * columns] + X[row * columns + 1])));
const data = { X, columns, y, group: new Uint32Array(queries).fill(size) };

const delay = monitorEventLoopDelay({ resolution: 1 });
const measured = async (name, work) => {
  delay.reset();
  delay.enable();
  const begin = performance.now();
  const made = await work();
  const took = performance.now() - begin;
  delay.disable();
  const [median, most] = [delay.percentile(50), delay.max].map((ns) => (ns / 1e6).toFixed(1));
  console.log(`${name}: ${took.toFixed(0)} ms; the event loop turned every ${median} ms, at most ${most} ms`);
  return made;
};
await measured("idle", () => new Promise((done) => setTimeout(done, 1000)));
const large = await measured(`training, 500 trees, ${queries * size} rows of ${columns}`, () => Ranker.train({ ...data, numTrees: 500 }));
await measured("the same with progress", () => Ranker.train({ ...data, numTrees: 500, onProgress() {} }));
const small = await Ranker.train({ ...data, numTrees: 1 });

for (const rows of [1, 100, 1000]) {
  const part = X.subarray(0, rows * columns);
  const nested = Array.from({ length: rows }, (_, row) => [...part.subarray(row * columns, (row + 1) * columns)]);
  const times = {};
  for (const [name, ranker, given] of [["1 tree", small, part], ["500 trees", large, part], ["1 tree, rows", small, nested]]) {
    for (let warm = 0; warm < 100; warm += 1) await ranker.score(given);
    const rounds = Array.from({ length: 1000 }, () => 0);
    for (let round = 0; round < rounds.length; round += 1) {
      const begin = performance.now();
      await ranker.score(given);
      rounds[round] = performance.now() - begin;
    }
    times[name] = `${(rounds.sort((a, b) => a - b)[rounds.length / 2] * 1000).toFixed(1)} µs`;
  }
  console.log(`score of ${rows} rows, median:`, times);
}
