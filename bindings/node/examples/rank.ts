// Trains a ranker on judgments, with a feature of its own, and measures what it changes on questions that it has not seen.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Document, Engine, evaluate, FeatureFunction, Ranker, RagError, TrainOptions } from "rag-core";

const TOPICS = ["bread", "snow", "lamps", "boats", "passes", "mills"];
/** Some notes on each topic; readers like those with many votes. */
const DOCUMENTS: Document[] = TOPICS.flatMap((topic, at) =>
  Array.from({ length: 20 }, (_, n) => ({ id: `${topic}-${n}`, text: `A note on ${topic}.`, metadata: { votes: (n * 7 + at * 3) % 20 } })),
);
const gradeOf = (votes: number) => (votes > 16 ? 2 : votes > 12 ? 1 : 0);

/** Documents without votes have no value. */
const votes: FeatureFunction = async (_text, documents, { tenant }) =>
  documents.map(({ metadata }) => (tenant === "default" && typeof metadata.votes === "number" ? Math.log1p(metadata.votes) : null));

function judgments(topics: readonly string[]): Record<string, Record<string, number>> {
  const graded = (topic: string) =>
    DOCUMENTS.filter(({ id }) => id.startsWith(topic)).map(({ id, metadata }) => [id, gradeOf(Number(metadata?.votes))] as const);
  return Object.fromEntries(topics.map((topic) => [topic, Object.fromEntries(graded(topic))]));
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "rag-rank-"));
  const engine = await Engine.open(folder, {
    features: { version: 2, freshness: [{ field: "published", halfLifeDays: 30 }] },
    featureFunctions: { "my.votes": votes },
  });
  await engine.upsert(DOCUMENTS);
  await engine.commit();

  const [known, unseen] = [TOPICS.slice(0, 4), TOPICS.slice(4)];
  const measure = async () => {
    const run = new Map<string, Map<string, number>>();
    for (const topic of unseen) {
      run.set(topic, new Map((await engine.search(`a note on ${topic}`)).hits.map(({ id, score }) => [id, score])));
    }
    return evaluate(judgments(unseen), run, ["ndcg@10"]);
  };
  const before = await measure();

  const log = await engine.logFeatures(known.map((topic) => [topic, `a note on ${topic}`] as const), { now: new Date("2024-06-01") });
  const options: TrainOptions = {
    X: log.x,
    columns: log.columns,
    y: await log.labels(judgments(known)),
    group: log.group,
    schema: log.schema,
    numTrees: 30,
    minDataInLeaf: 5,
  };
  const ranker = await Ranker.train(options);
  const importance = ranker.featureImportance("gain");
  const features = ranker.featureNames.map((name, at) => ({ name, gain: importance[at] ?? 0 })).sort((a, b) => b.gain - a.gain);
  await engine.setRanker(ranker);
  console.log("before", before, "after", await measure(), "by", features.slice(0, 2).map(({ name }) => name).sort());

  const misfit = await Ranker.trainLinear({ X: [[1, null], [0, 2]], y: [1, 0], featureNames: ["age", "height"] });
  const { contributions, expected } = await misfit.explain([[1, 2]]);
  console.log(contributions.length, Number.isFinite(expected));
  await engine.setRanker(misfit).catch((error: unknown) => {
    if (!(error instanceof RagError)) throw error;
    console.log(error.code);
  });
  await engine.close();
  await rm(folder, { recursive: true });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
