/** Do a job in a browser: read it as a line of JSON, write what was seen as the last line. */

import { createInterface } from "node:readline";
import { answered, ready, start } from "./browser.mjs";
import * as steps from "./steps.mjs";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const job = JSON.parse((await lines.next()).value);

/** Let the one who started us change something, and wait until it is done. */
async function changed(what) {
  console.log(JSON.stringify({ waiting: what }));
  await lines.next();
}

const JOBS = {
  /** Do steps in one page. */
  async steps({ url, steps: wanted }) {
    const { context, page, seen } = await start(job);
    await page.goto(url);
    await ready(page);
    const results = {};
    for (const { name, ...options } of wanted) {
      results[name] = await steps[name](page, { url, ...options });
    }
    await context.close();
    return { ...seen, ...results };
  },

  /** Visit, let the folder be exported anew, visit again, then without a server. */
  async offline({ url, query, unknown }) {
    const { context, page, seen } = await start(job);
    const kept = () => page.waitForFunction(() => document.getElementById("offline").textContent);
    const look = async () => ({
      title: await page.locator("h1").textContent(),
      caches: await page.evaluate(async () => (await caches.keys()).length),
      ...(await steps.ask(page, { queries: [query] }))[0],
    });
    await page.goto(url);
    await ready(page);
    await kept();
    const first = await look();
    const inspector = await context.newCDPSession(page);
    const { installabilityErrors: obstacles } = await inspector.send("Page.getInstallabilityErrors");
    const nothing = await steps.nothing(page, { query: unknown });
    await changed("export");
    await page.reload();
    await ready(page);
    await kept();
    const second = await look();
    await changed("stop");
    await page.reload();
    await ready(page);
    const offline = await look();
    await context.close();
    return { ...seen, first, nothing, obstacles, second, offline };
  },

  /** Read what the page says when it cannot work. */
  async trouble({ url }) {
    const { context, page } = await start(job);
    await page.goto(url);
    await page.waitForSelector("#message h2");
    const text = await page.locator("#message").innerText();
    const [input, progress] = [await page.isEnabled("#query"), await page.isVisible("#progress")];
    await changed("mend");
    await page.click("#message button");
    await ready(page);
    const title = await page.locator("h1").textContent();
    await context.close();
    return { text, input, progress, title };
  },

  /** Read what the page says when it was opened as a file. */
  async file({ url }) {
    const { context, page } = await start(job);
    await page.goto(url);
    const text = await page.locator("#message").innerText();
    await context.close();
    return { text };
  },

  /** Take pictures. */
  async shots({ url, query, folder }) {
    const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
    const { context, page, seen } = await start(job);
    await page.goto(url);
    await ready(page);
    for (const [name, size] of Object.entries(sizes)) {
      await page.setViewportSize(size);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        for (const [state, text] of Object.entries({ results: query, empty: "" })) {
          await page.fill("#query", text);
          await answered(page, text);
          await page.screenshot({ path: `${folder}/${name}-${colorScheme}-${state}.png`, animations: "disabled" });
        }
      }
    }
    await context.close();
    return seen;
  },
};

const seen = await JOBS[job.job](job);
process.stdout.write(`${JSON.stringify({ seen })}\n`, () => process.exit(0)); // not before it is out
