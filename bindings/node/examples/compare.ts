// Measures both retrievers and their fusion on a few judged questions.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ByQuery, Engine, evaluate, fuse } from "rag-core";

const TEXTS: Record<string, string> = {
  bakery: "The bakery opens at six, on Sundays at seven.",
  pass: "Alpine passes close in winter; in May the road is cleared of snow.",
  lamp: "The keeper wound up the weight that turned the lamp every four hours.",
};
const QUESTIONS: Record<string, string> = { early: "fresh bread in the morning", road: "when is the mountain road open" };
const QRELS: Record<string, Record<string, number>> = { early: { bakery: 1 }, road: { pass: 1 } };

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "rag-compare-"));
  const engine = await Engine.open(folder);
  await engine.upsert(Object.entries(TEXTS).map(([id, text]) => ({ id, text })));
  await engine.commit();

  const runOf = async (retriever: "dense" | "lexical"): Promise<ByQuery> => {
    const run = new Map<string, Map<string, number>>();
    for (const [id, question] of Object.entries(QUESTIONS)) {
      const answer = await engine.search(question, { retrievers: [retriever] });
      run.set(id, new Map(answer.hits.map((hit) => [hit.id, hit.score])));
    }
    return run;
  };
  const [dense, lexical] = [await runOf("dense"), await runOf("lexical")];
  const fused = await fuse([dense, lexical], { method: "rrf", k: 60 });
  for (const [name, run] of Object.entries({ dense, lexical, fused })) {
    console.log(name, await evaluate(QRELS, run, ["ndcg@10", "mrr"]));
  }
  await engine.close();
  await rm(folder, { recursive: true });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
