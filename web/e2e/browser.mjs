/** A browser with an empty profile that can reach nothing but this machine. */

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** Find a program by the first of these names that is installed. */
function find(...names) {
  for (const folder of process.env.PATH.split(delimiter)) {
    for (const path of names.map((name) => join(folder, name))) {
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // not here
      }
    }
  }
  throw new Error(`none of ${names.join(", ")} is installed: name a browser in VECPRESS_CHROMIUM`);
}

/** Start one; `seen` collects what it asked for and what its pages and workers complained of. */
export async function start({ chromium: program, profile }, options = {}) {
  const executablePath = program || find("chromium", "chromium-browser", "google-chrome");
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: ARGUMENTS,
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    ...options,
  });
  const seen = { requests: [], complaints: [] };
  context.on("request", (request) => seen.requests.push(request.url()));
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.complaints.push(message.text());
  });
  context.on("weberror", (error) => seen.complaints.push(String(error.error())));
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(30_000);
  return { context, page, seen };
}

/** Wait until the page has read its data. */
export async function ready(page) {
  await page.waitForFunction(
    () => document.querySelector("#engine *") ?? document.querySelector("#message *"),
  );
  const message = await page.locator("#message").textContent();
  if (message) throw new Error(`the page says: ${message}`);
}

/** Wait until the list answers this query. */
export async function answered(page, query) {
  await page.waitForFunction(
    (wanted) => document.getElementById("results").dataset.query === wanted,
    query,
  );
}
