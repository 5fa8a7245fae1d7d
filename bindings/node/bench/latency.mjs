// How long single questions take from Node: `latency.mjs DATA QUESTIONS [ROUNDS]`, as examples/latency.rs.

import { readFileSync } from "node:fs";

import { Engine } from "rag-core";

const [data, file, rounds = "5"] = process.argv.slice(2);
if (!data || !file) throw new Error("give a data folder and a file of questions");
const questions = readFileSync(file, "utf8").split("\n").filter((line) => line !== "");
const engine = await Engine.open(data);
const times = [];
for (let round = 0; round <= Number(rounds); round += 1) {
  for (const question of questions) {
    const begun = performance.now();
    await engine.search(question, { k: 10 });
    if (round > 0) times.push((performance.now() - begun) * 1000); // the first round fills the caches
  }
}
await engine.close();
times.sort((a, b) => a - b);
const at = (share) => Number(times[Math.floor(times.length * share)].toFixed(1));
console.log(JSON.stringify({ median_us: at(0.5), p95_us: at(0.95) }));
