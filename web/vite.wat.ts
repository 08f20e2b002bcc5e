import { readFileSync } from "node:fs";
import type { Plugin } from "vite";
import wabt from "wabt";

/** Compiles WebAssembly's text format; what is imported is the program in base64. */
export function wat(): Plugin {
  return {
    name: "wat",
    enforce: "pre",
    async load(id) {
      if (!id.endsWith(".wat")) return null;
      const module = (await wabt()).parseWat(id, readFileSync(id, "utf8"), { simd: true });
      const { buffer } = module.toBinary({});
      module.destroy();
      return `export default ${JSON.stringify(Buffer.from(buffer).toString("base64"))};`;
    },
  };
}
