// Packs the package, and one for each platform whose library is in `dist`, laid out as napi-rs publishes them.
//
//     node scripts/pack.mjs [FOLDER]    where the tarballs go; "npm" unless told

import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { NapiCli } from "@napi-rs/cli";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = resolve(process.argv[2] ?? join(root, "npm"));
const staging = mkdtempSync(join(tmpdir(), "rag-core-pack-"));
const npm = process.platform === "win32" ? "npm.cmd" : "npm";
const pack = (folder) => execFileSync(npm, ["pack", "--silent", "--pack-destination", target], { cwd: folder, stdio: "inherit" });
const legal = { "LICENSE-MIT": "../..", "LICENSE-APACHE": "../..", NOTICE: "../../rag-core/models" };
const copyLegal = (folder) => {
  for (const [name, from] of Object.entries(legal)) copyFileSync(join(root, from, name), join(folder, name));
};
try {
  for (const name of ["package.json", "README.md"]) copyFileSync(join(root, name), join(staging, name));
  cpSync(join(root, "dist"), join(staging, "dist"), { recursive: true });
  copyLegal(staging);
  await new NapiCli().createNpmDirs({ cwd: staging });

  mkdirSync(target, { recursive: true });
  const optional = {};
  for (const platform of readdirSync(join(staging, "npm"))) {
    const folder = join(staging, "npm", platform);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const { name, version, main, files } = manifest;
    optional[name] = version;
    if (!readdirSync(join(staging, "dist")).includes(main)) continue;
    copyFileSync(join(staging, "dist", main), join(folder, main));
    copyLegal(folder);
    const all = { ...manifest, files: [...files, ...Object.keys(legal)] };
    writeFileSync(join(folder, "package.json"), JSON.stringify(all, null, 2));
    pack(folder);
  }
  // `napi pre-publish` writes the same, but into the package.json of the source.
  const manifest = JSON.parse(readFileSync(join(staging, "package.json"), "utf8"));
  delete manifest.scripts;
  delete manifest.devDependencies;
  writeFileSync(join(staging, "package.json"), JSON.stringify({ ...manifest, optionalDependencies: optional }, null, 2));
  pack(staging);
} finally {
  rmSync(staging, { recursive: true });
}
