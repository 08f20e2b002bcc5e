import { defineConfig } from "vite";

import { licenses } from "./vite.licenses.ts";
import { ortRuntime } from "./vite.runtime.ts";
import { wat } from "./vite.wat.ts";

/** The npm package: one ES module, its worker, and the runtime of ONNX as a chunk of its own. */
export default defineConfig({
  logLevel: "warn", // how long each part took is nothing to worry about
  base: "./", // the worker is found beside the module, wherever that lies
  publicDir: false,
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    rolldownOptions: { checks: { pluginTimings: false } },
    minify: "oxc",
    sourcemap: false,
    lib: { entry: "src/index.ts", formats: ["es"], fileName: "index" },
  },
  plugins: [wat(), licenses(), ortRuntime({ ship: false })],
  worker: {
    format: "es",
    // one file: whoever bundles the package copies a worker, but not what it would import
    rolldownOptions: { output: { codeSplitting: false } },
    plugins: () => [wat(), ortRuntime({ ship: false })],
  },
});
