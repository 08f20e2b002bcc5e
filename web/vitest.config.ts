import { defineConfig } from "vitest/config";

import { wat } from "./vite.wat.ts";

export default defineConfig({
  plugins: [wat()],
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
