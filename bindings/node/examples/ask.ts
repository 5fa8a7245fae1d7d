// Asks a folder a question, and says why each hit is where it is.
//
//     node ask.js FOLDER QUESTION…

import { Engine, RagError } from "rag-core";

async function main([folder, ...words]: string[]): Promise<void> {
  if (!folder) throw new Error("give a folder and a question");
  const engine = await Engine.open(folder);
  try {
    const answer = await engine.search(words.join(" "), { k: 3, explain: true, timeoutMs: 1000 });
    for (const hit of answer) {
      console.log(`${hit.rank}. ${hit.id} (${hit.score.toFixed(3)}): ${hit.text.slice(0, 80)}`);
      for (const run of hit.explain?.runs ?? []) {
        console.log(`   ${run.run}: rank ${run.rank ?? "none"}, contributes ${run.contribution.toFixed(3)}`);
      }
    }
    if (answer.degraded.length > 0) console.log(`left out: ${answer.degraded.join("; ")}`);
  } catch (error) {
    if (error instanceof RagError && error.code === "invalid_argument") console.log(`that is no question: ${error.message}`);
    else throw error;
  } finally {
    await engine.close();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
