// Writes the entry for `import`: every name of the CommonJS module, which stays the only copy of the code.

import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";

const dist = new URL("../dist/", import.meta.url);
const names = Object.keys(createRequire(import.meta.url)("../dist/index.js")).sort();
writeFileSync(new URL("index.mjs", dist), `import module from "./index.js";\nexport const { ${names.join(", ")} } = module;\n`);
writeFileSync(new URL("index.d.mts", dist), 'export * from "./index.js";\n');
