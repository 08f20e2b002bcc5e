import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import type { Plugin, ResolvedConfig } from "vite";

const FOR_GRAPHS = /(^|\/)ort[^/]*$/;

/** Writes sw.js, which has to know every file of the page, and tells the page how large it is. */
export function offline(): Plugin {
  let config: ResolvedConfig;
  return {
    name: "vecpress-offline",
    apply: "build",
    configResolved(resolved) {
      config = resolved;
    },
    writeBundle() {
      const out = resolve(config.root, config.build.outDir);
      const all = list(out).filter((file) => !file.startsWith("runtime/") && file !== "sw.js");
      const graphs = all.filter((file) => FOR_GRAPHS.test(file)); // an export of tables has none
      const files = all.filter((file) => !graphs.includes(file));
      const bytes = files.reduce((sum, file) => sum + statSync(join(out, file)).size, 0);
      const page = readFileSync(join(out, "index.html"), "utf8");
      const told = page
        .replace('data-bytes="0"', `data-bytes="${bytes}"`)
        .replace('rel="stylesheet" crossorigin', 'rel="stylesheet"'); // works from a file too
      writeFileSync(join(out, "index.html"), told);
      const digest = createHash("sha256");
      for (const file of all) digest.update(file).update(readFileSync(join(out, file)));
      const named = files.map((file) => (file === "index.html" ? "./" : file));
      const head =
        `const BUILD = ${JSON.stringify(digest.digest("hex").slice(0, 16))};\n` +
        `const FILES = ${JSON.stringify(named)};\n` +
        `const FOR_GRAPHS = ${JSON.stringify(graphs)};\n`;
      writeFileSync(join(out, "sw.js"), head + readFileSync(join(config.root, "sw.js"), "utf8"));
    },
  };
}

/** Every file below a folder, by its path from there, in order. */
function list(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}
