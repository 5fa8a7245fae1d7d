import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";

import * as rag from "rag-core";

import { folder, ROOT, run } from "./support.mjs";

const require = createRequire(import.meta.url);
const node = (...args) => run(process.execPath, args);

test("both kinds of import give the same names", () => {
  const common = require("rag-core");
  assert.deepEqual(Object.keys(rag).sort(), Object.keys(common).sort());
  for (const name of Object.keys(rag)) assert.equal(rag[name], common[name]);
});

test("the version is that of the workspace", () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const workspace = readFileSync(join(ROOT, "../../Cargo.toml"), "utf8");
  assert.equal(version, workspace.match(/\[workspace\.package\]\s+version = "(.+)"/)[1]);
});

test("no lock names a registry", () => {
  assert.ok(!readFileSync(join(ROOT, "package-lock.json"), "utf8").includes('"resolved"'));
});

/** The programs of the README, with the extension of their kind. */
function programs() {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/^```(js|mjs)\n(.*?)^```$/gms)];
  return blocks.map(([, kind, text], at) => ({ name: `readme-${at}.${kind === "js" ? "cjs" : "mjs"}`, text }));
}

describe("from tarballs, in an empty folder, without a network", () => {
  test("the README's programs run as they stand, and the examples compile and run", (t) => {
    const [packs, home] = [folder(t), folder(t)];
    node(join(ROOT, "scripts/pack.mjs"), packs);
    const tarballs = readdirSync(packs).map((name) => join(packs, name));
    assert.equal(tarballs.length, 2);
    writeFileSync(join(home, "package.json"), "{}");
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    const options = { cwd: home, env: { ...process.env, npm_config_registry: "http://127.0.0.1:9/", npm_config_cache: folder(t) } };
    run(npm, ["install", "--offline", "--no-audit", "--no-fund", ...tarballs], options);
    const installed = readdirSync(join(home, "node_modules")).filter((name) => name.startsWith("rag-core"));
    assert.equal(installed.length, 2);
    assert.ok(!readdirSync(join(home, "node_modules/rag-core/dist")).some((name) => name.endsWith(".node")));

    const all = programs();
    assert.ok(all.some(({ name }) => name.endsWith(".cjs")) && all.some(({ name }) => name.endsWith(".mjs")));
    const printed = all.map(({ name, text }) => {
      writeFileSync(join(home, name), text);
      return run(process.execPath, [name], { cwd: home });
    });
    assert.match(printed[0], /^bakery 0\.\d+ The bakery opens at six\.\n$|^bakery 1 The bakery opens at six\.\n$/);
    assert.match(printed[1], /^3000 3002\n$/);
    assert.match(printed[2], /^4 my\.stars 15\n$/);
    assert.match(printed[3], /^canary canary\n2\n$/);
    assert.match(printed[4], /^invalid_argument `k` is 0; ask for 1 to 10000 hits\n$/);
    assert.match(printed[5], /^7n 0\.\d+\n\[ 'b', 'a' \] \{ 'ndcg@10': 1, mrr: 1 \}\n$/);

    for (const name of installed) {
      const files = readdirSync(join(home, "node_modules", name));
      for (const legal of ["LICENSE-MIT", "LICENSE-APACHE", "NOTICE"]) assert.ok(files.includes(legal), `${legal} of ${name}`);
    }

    cpSync(join(ROOT, "examples"), join(home, "examples"), { recursive: true });
    cpSync(join(ROOT, "examples/compare.ts"), join(home, "examples/imported.mts")); // with the types for `import`
    const types = ["--typeRoots", join(ROOT, "node_modules/@types"), "--types", "node"];
    const compile = ["--strict", "--exactOptionalPropertyTypes", "--module", "node16", "--target", "es2022", ...types];
    const sources = readdirSync(join(home, "examples")).map((name) => join("examples", name));
    run(process.execPath, [require.resolve("typescript/bin/tsc"), ...compile, ...sources], { cwd: home });
    const lines = [1, 2, 3].map((n) => JSON.stringify({ id: `${n}`, text: `number ${n}`, metadata: { n } })).join("\n");
    writeFileSync(join(home, "documents.jsonl"), `${lines}\n`);
    const example = (name, ...args) => run(process.execPath, [join("examples", name), ...args], { cwd: home });
    assert.equal(example("ingest.js", "documents.jsonl", "numbers"), "3 added, 0 updated, 0 unchanged\n");
    assert.match(example("ask.js", "numbers", "number", "2"), /^1\. 2 \(/);
    assert.match(example("ask.js", "numbers", " "), /^that is no question: `text` is empty/);
    assert.match(example("rank.js"), /after { 'ndcg@10': 1 } by .*'my\.votes'.*\n2 true\nschema_mismatch\n$/);
    for (const name of ["compare.js", "imported.mjs"]) {
      assert.match(example(name), /fused \{ 'ndcg@10': 1, mrr: 1 \}/);
    }
  });
});

test("a platform without a library is told of", (t) => {
  const home = folder(t);
  mkdirSync(join(home, "node_modules/rag-core"), { recursive: true });
  const filter = (path) => !path.endsWith(".node");
  cpSync(join(ROOT, "dist"), join(home, "node_modules/rag-core/dist"), { recursive: true, filter });
  cpSync(join(ROOT, "package.json"), join(home, "node_modules/rag-core/package.json"));
  writeFileSync(join(home, "program.cjs"), 'try { require("rag-core") } catch (error) { console.log(error.message) }');
  assert.match(run(process.execPath, ["program.cjs"], { cwd: home }), /native binding/);
});
