// Builds the native part for this machine, with the compiled dependencies that the rest of the workspace uses: `napi build`
// would compile each of them once more, for it always names a target.
//
//     node scripts/native.mjs [--profile NAME]
//
// With RAG_BUILD_WORKSPACE set it builds the libraries of the whole workspace, with the features that its tests use: where
// those are built anyway, nothing is compiled for Node alone.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { generateTypeDef, parseTriple, writeJsBinding } from "@napi-rs/cli";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({ options: { profile: { type: "string", default: "dev" } } });
const read = (command, ...args) => execFileSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 });

const host = read("rustc", "-vV").match(/^host: (.+)$/m)[1];
const target = JSON.parse(read("cargo", "metadata", "--no-deps", "--format-version", "1")).target_directory;
const { name, version, napi } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const [typeDefDir, outputDir] = [join(target, "napi-types", values.profile), join(root, "dist")];

// The types are written while the crate is compiled, so it always is.
rmSync(typeDefDir, { recursive: true, force: true });
mkdirSync(typeDefDir, { recursive: true });
mkdirSync(outputDir, { recursive: true });
const workspace = ["--workspace", "--lib", "--features", "rag-python/stubs"];
const what = process.env.RAG_BUILD_WORKSPACE ? workspace : ["--package", "rag-node"];
execFileSync("cargo", ["build", "--locked", ...what, "--profile", values.profile], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, NAPI_TYPE_DEF_TMP_FOLDER: typeDefDir, NAPI_FORCE_BUILD_RAG_NODE: `${Date.now()}` },
});

const folder = values.profile === "dev" ? "debug" : values.profile;
const [prefix, suffix] = { win32: ["", ".dll"], darwin: ["lib", ".dylib"] }[process.platform] ?? ["lib", ".so"];
const library = join(outputDir, `${napi.binaryName}.${parseTriple(host).platformArchABI}.node`);
// By another name first: a process that has the old one open keeps it.
copyFileSync(join(target, folder, `${prefix}rag_core_node${suffix}`), `${library}.new`);
renameSync(`${library}.new`, library);

const { dts, exports } = await generateTypeDef({ typeDefDir, cwd: root });
writeFileSync(join(outputDir, "native.d.ts"), dts);
await writeJsBinding({
  platform: true,
  idents: exports,
  jsBinding: "native.js",
  binaryName: napi.binaryName,
  packageName: name,
  version,
  outputDir,
});
