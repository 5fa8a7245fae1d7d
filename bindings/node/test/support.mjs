import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the package. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** A folder for the length of a test. */
export function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "rag-core-test-"));
  t.after(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

/** What a `throws` or `rejects` wants of a RagError. */
export const ragError = (code, message) => ({ name: "RagError", code, message });

/** Runs a program to its end; gives what it printed. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: "utf8", ...options });
  if (done.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${done.status ?? done.signal}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}
