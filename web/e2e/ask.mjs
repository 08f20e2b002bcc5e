/** Ask an exported page questions, for benchmarks/edge.py: its URL, a file of questions. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ready, start } from "./browser.mjs";
import { ask } from "./steps.mjs";

const [url, questions] = process.argv.slice(2);
const queries = JSON.parse(await readFile(questions, "utf8"));
const profile = await mkdtemp(join(tmpdir(), "vecpress-"));
const { context, page, seen } = await start({ chromium: process.env.VECPRESS_CHROMIUM, profile });

const begun = performance.now();
await page.goto(url);
await ready(page);
await ask(page, { queries: queries.slice(0, 1) });
const load_ms = performance.now() - begun;
const answers = (await ask(page, { queries })).map(({ hits, ms }) => ({
  ids: hits.map((hit) => hit.id),
  scores: hits.map((hit) => hit.score),
  ms,
}));
const engine = (await page.locator("#engine span").first().textContent()).trim();
await context.close();
await rm(profile, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify({ load_ms, answers, engine, complaints: seen.complaints })}\n`);
