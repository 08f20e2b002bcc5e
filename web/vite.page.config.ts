import { defineConfig } from "vite";

import { offline } from "./page/offline_plugin.ts";
import { licenses } from "./vite.licenses.ts";
import { ortRuntime } from "./vite.runtime.ts";
import { wat } from "./vite.wat.ts";

/** The search page: `vecpress export --to web` copies what is built here beside its data. */
export default defineConfig({
  root: "page",
  logLevel: "warn", // how long each part took is nothing to worry about
  base: "./",
  build: {
    outDir: "../../src/vecpress/page",
    emptyOutDir: true,
    target: "es2022",
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  plugins: [wat(), licenses(), ortRuntime({ ship: true }), offline()],
  worker: { format: "es", plugins: () => [wat(), ortRuntime({ ship: false })] },
});
