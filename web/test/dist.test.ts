import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Browser, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { type Change, fixture, serve } from "./helpers";

const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-background-networking"];
const PAGE: Change = (name, content) =>
  name === "expected.json" ? Buffer.from("<!doctype html><title>Empty</title>") : content;

function findChromium(): string | null {
  const found = process.env.VECPRESS_CHROMIUM ?? "chromium";
  try {
    return execFileSync("which", [found], { encoding: "utf8" }).trim();
  } catch {
    if (process.env.VECPRESS_REQUIRE_BROWSER) throw new Error(`there is no ${found} here`);
    return null;
  }
}

const executablePath = findChromium();

describe.skipIf(executablePath === null)("the built library, in Chromium", () => {
  const dist = mkdtempSync(join(tmpdir(), "vecpress-web-"));
  let browser: Browser;

  beforeAll(async () => {
    const outDir = { outDir: dist };
    await build({ configFile: "vite.lib.config.ts", logLevel: "error", build: outDir });
    browser = await chromium.launch({ executablePath: executablePath!, args: ARGUMENTS });
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    rmSync(dist, { recursive: true });
  });

  test.each([
    ["static", "open"],
    ["static", "openInWorker"],
    ["onnx", "open"],
    ["onnx", "openInWorker"],
  ] as const)(
    "finds in a folder of the engine %s by %s what Python finds",
    async (folder, how) => {
      const server = await serve(folder, PAGE, { dist });
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on("console", (message) => complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(String(error)));
      await page.goto(`${server.url}expected.json`);
      const { questions, k, ids } = fixture<{ questions: string[]; k: number; ids: string[][] }>(
        `${folder}/expected.json`,
      );
      expect(await found(page, how, questions, k)).toEqual(ids);
      expect(complaints.filter((text) => !text.includes("404"))).toEqual([]); // favicon.ico
      const foreign = server.asked.filter((name) => /^(data|dist|runtime)\//.test(name) === false);
      expect(foreign.filter((name) => name !== "favicon.ico")).toEqual([]);
      const runtime = server.asked.some((name) => name.startsWith("runtime/"));
      const code = server.asked.some((name) => /^dist\/.*ort/.test(name));
      expect([runtime, code]).toEqual([folder === "onnx", folder === "onnx" && how === "open"]);
      const beside = server.asked.filter((name) => name.startsWith("dist/assets/"));
      expect(beside.length).toBe(how === "open" ? 0 : 1); // bundlers copy a worker, not its imports
      await page.close();
      await server.close();
    },
    60_000,
  );
});

/** Ask all questions in the page; as text, for vitest rewrites imports in functions. */
function found(page: Page, how: string, questions: string[], k: number): Promise<string[][]> {
  return page.evaluate(`(async () => {
    const library = await import("/dist/index.js");
    const press = await library.${how}("/data/");
    const search = async (text) => (await press.search(text, { k: ${k} })).hits;
    const answers = await Promise.all(${JSON.stringify(questions)}.map(search));
    press.close();
    return answers.map((hits) => hits.map((hit) => hit.id));
  })()`);
}
