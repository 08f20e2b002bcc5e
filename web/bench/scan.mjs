/**
 * How long a scan takes in a browser, byte by byte and many rows at once: `npm run bench`.
 *
 * Chromium is VECPRESS_CHROMIUM, or "chromium" on the PATH. Writes
 * benchmarks/results/bench-web-scan.json.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { cpus } from "node:os";
import { chromium } from "playwright-core";
import { build } from "vite";

const RESULTS = new URL("../../benchmarks/results/bench-web-scan.json", import.meta.url);
const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu"];

async function bundled() {
  const [{ output }] = await build({
    configFile: "vite.lib.config.ts",
    logLevel: "error",
    build: { write: false, lib: { entry: "bench/page.ts", formats: ["es"] } },
  });
  return output.find((file) => file.isEntry).code;
}

const script = await bundled();
const server = createServer((request, response) => {
  const isScript = request.url === "/bench.js";
  response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
  response.end(isScript ? script : "<!doctype html><title>bench</title>");
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const found = process.env.VECPRESS_CHROMIUM ?? "chromium";
const executablePath = execFileSync("which", [found], { encoding: "utf8" }).trim();
const browser = await chromium.launch({ executablePath, args: ARGUMENTS });
const rows = [];
for (const count of [6_000, 100_000, 1_000_000]) {
  for (const bits of [2, 4]) {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    const measured = await page.evaluate(async ([n, b]) => {
      const { measure } = await import("/bench.js");
      return measure(n, b);
    }, [count, bits]); // prettier-ignore
    console.error(JSON.stringify(measured));
    rows.push(measured);
    await page.close();
  }
}
const machine = {
  processor: cpus()[0].model.trim(),
  cores: cpus().length,
  chromium: browser.version(),
  date: new Date().toISOString().slice(0, 10),
};
const made = { command: "cd web && npm run bench", machine, rows };
writeFileSync(RESULTS, JSON.stringify(made, undefined, 1) + "\n");
await browser.close();
server.close();
