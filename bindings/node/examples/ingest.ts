// Reads a file of JSON lines into a folder, with progress and a way to stop (Ctrl-C).
//
//     node ingest.js FILE FOLDER

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

import { Document, Engine } from "rag-core";

async function* documents(file: string): AsyncGenerator<Document> {
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    if (line.trim() === "") continue;
    yield JSON.parse(line) as Document;
    if (++count % 1000 === 0) console.error(`${count} documents read`);
  }
}

async function main([file, folder]: string[]): Promise<void> {
  if (!file || !folder) throw new Error("give a file and a folder");
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const engine = await Engine.open(folder);
  try {
    const report = await engine.upsert(documents(file), { signal: stop.signal });
    await engine.commit();
    console.log(`${report.added} added, ${report.updated} updated, ${report.unchanged} unchanged`);
  } finally {
    await engine.close(); // after an error: without what was staged
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
