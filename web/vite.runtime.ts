import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const OWN_COPY = /new URL\("ort-wasm[^"]*\.wasm",import\.meta\.url\)\.href/g;
const BINARIES = ["ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.asyncify.wasm"];

/**
 * Puts onnxruntime's binaries into `runtime/`, packed: a quarter of the bytes on any file server.
 *
 * The library fetches and unpacks them itself, so where onnxruntime names its own copies, which
 * bundling would put into the code, these names are taken out.
 *
 * @param options - `ship`: whether `runtime/` is written at all.
 */
export function ortRuntime({ ship }: { ship: boolean }): Plugin {
  return {
    name: "ort-runtime",
    enforce: "pre",
    transform(code, id) {
      if (!id.includes("onnxruntime-web") || code.match(OWN_COPY) === null) return null;
      return { code: code.replaceAll(OWN_COPY, '"wasmBinary"'), map: null };
    },
    generateBundle() {
      for (const name of ship ? BINARIES : []) {
        const path = createRequire(import.meta.url).resolve(`onnxruntime-web/${name}`);
        const source = gzipSync(readFileSync(path), { level: 9 });
        this.emitFile({ type: "asset", fileName: `runtime/${name}.gz`, source });
      }
    },
  };
}
