/** What is done in the page, and what is then seen there; tests/web says what it should be. */

import { answered, ready } from "./browser.mjs";

/** Ask one query after the other, as one who pastes them, and read the lists. */
export async function ask(page, { queries }) {
  return page.evaluate(async (all) => {
    const input = document.getElementById("query");
    const list = document.getElementById("results");
    const answers = [];
    let look = () => undefined;
    const options = { attributes: true, attributeFilter: ["data-query"] };
    new MutationObserver(() => look()).observe(list, options);
    const shows = (query) => list.dataset.query === query.trim();
    input.value = ""; // or the list may already be that of the first query
    input.dispatchEvent(new Event("input"));
    for (const query of all) {
      input.value = query;
      const shown = new Promise((resolve) => (look = () => shows(query) && resolve()));
      input.dispatchEvent(new Event("input"));
      if (!shows(query)) await shown;
      const hits = [...list.children].map((item) => ({
        id: item.querySelector(".id").textContent,
        score: Number(item.dataset.score),
        shown: item.querySelector(".number").lastChild.textContent,
        text: item.querySelector(".whole").textContent,
      }));
      answers.push({ query, hits, ms: parseFloat(document.querySelector("#answer b")?.textContent) });
    }
    return answers;
  }, queries);
}

/** Type a query key by key; note which lists were shown before the last key. */
export async function type(page, { query }) {
  await page.fill("#query", "");
  await page.evaluate(() => {
    const list = document.getElementById("results");
    window.shownLists = [];
    new MutationObserver(() => window.shownLists.push(list.dataset.query)).observe(list, {
      attributes: true,
      attributeFilter: ["data-query"],
    });
  });
  await page.locator("#query").pressSequentially(query, { delay: 25 });
  await answered(page, query);
  return page.evaluate(() => window.shownLists);
}

/** Ask one query; read which words are marked, and all the text they could be in. */
export async function marks(page, { query }) {
  await page.fill("#query", query);
  await answered(page, query);
  const all = (selector) => page.locator(`#results ${selector}`).allTextContents();
  return { marked: await all(":is(.id, .snippet) mark"), texts: await all(":is(.id, .snippet)") };
}

/** Go through the list by keys alone. */
export async function keys(page, { query }) {
  const focused = () => page.evaluate(() => document.activeElement.closest("li")?.querySelector(".rank").textContent ?? document.activeElement.id);
  const open = () => page.locator('#results [aria-expanded="true"]').count();
  const seen = {};
  await page.fill("#query", "");
  await page.locator("#theme").focus();
  await page.keyboard.press("/");
  seen.slash = [await focused(), await page.inputValue("#query")];
  await page.keyboard.type(query);
  await answered(page, query);
  const walk = [];
  for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "End", "ArrowDown", "Home"]) {
    await page.keyboard.press(key);
    walk.push(await focused());
  }
  seen.walk = walk;
  await page.keyboard.press("ArrowDown");
  seen.tabstops = await page.locator('#results li:has([tabindex="0"]) .rank').allTextContents();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowUp");
  seen.left = await focused();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  seen.opened = [await open(), await page.locator("#results .whole:visible").count()];
  await page.keyboard.press("Enter");
  seen.closed = await open();
  await page.keyboard.press("Escape");
  seen.back = [await focused(), await page.inputValue("#query")];
  await page.keyboard.press("Enter");
  seen.entered = await focused();
  await page.keyboard.press("x");
  await answered(page, `${query}x`);
  seen.typed = [await focused(), await page.inputValue("#query")];
  await page.keyboard.press("Escape");
  seen.cleared = [await focused(), await page.inputValue("#query"), await page.locator("#results li").count()];
  return seen;
}

/** Switch the theme, and see whether it lasts. */
export async function theme(page) {
  const look = () =>
    page.evaluate(() => ({
      page: getComputedStyle(document.body).backgroundColor,
      pressed: document.getElementById("theme").getAttribute("aria-pressed"),
      stored: localStorage.getItem("vecpress-theme"),
    }));
  const before = await look();
  await page.click("#theme");
  const switched = await look();
  await page.reload();
  await ready(page);
  const reloaded = await look();
  await page.click("#theme");
  return { before, switched, reloaded, back: await look() };
}

/** Colours of texts and of what lies behind them, in both themes. */
export async function colors(page, { query }) {
  await page.fill("#query", query);
  await answered(page, query);
  const seen = {};
  const follow = async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.waitForSelector(`#theme[aria-pressed="${colorScheme === "dark"}"]`);
  };
  for (const scheme of ["light", "dark"]) {
    await follow(scheme);
    seen[scheme] = await page.evaluate(() => {
      const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const color = getComputedStyle(at).backgroundColor;
          if (!color.startsWith("rgba(0, 0, 0, 0")) return color;
        }
        return "rgb(255, 255, 255)";
      };
      const names = ["h1", "#facts", "#answer", "#engine", ".rank", ".id", ".number", ".snippet", "mark", "footer p", "#query"];
      return names.map((name) => {
        const element = document.querySelector(name);
        return [name, getComputedStyle(element).color, behind(element)];
      });
    });
  }
  await follow("light");
  return seen;
}

/** See how the address keeps the query, and the other way round. */
export async function address(page, { url, queries: [first, second] }) {
  const hash = () => page.evaluate(() => location.hash);
  const seen = {};
  await page.fill("#query", first);
  await answered(page, first);
  seen.typed = await hash();
  await page.reload();
  await answered(page, first);
  seen.reloaded = [await page.inputValue("#query"), await page.title()];
  await page.goto(`${url}#q=${encodeURIComponent(second)}`);
  await answered(page, second);
  seen.followed = await page.inputValue("#query");
  await page.goBack();
  await answered(page, first);
  seen.back = await page.inputValue("#query");
  await page.fill("#query", "");
  seen.emptied = [await hash(), await page.locator("#examples .chip").count()];
  const chip = await page.locator("#examples .chip").first().textContent();
  await page.locator("#examples .chip").first().click();
  await answered(page, chip);
  seen.chip = [chip, await page.inputValue("#query"), decodeURIComponent((await hash()).slice(3))];
  return seen;
}

/** Read what the page says around the results. */
export async function told(page, { query }) {
  const text = (selector) => page.locator(selector).textContent();
  const seen = {};
  await page.fill("#query", query);
  await answered(page, query);
  for (const name of ["title", "facts", "answer", "engine", "count", "maker"]) seen[name] = await text(`#${name}`);
  await page.click("#more");
  await page.waitForFunction(() => document.querySelectorAll("#results li").length > 10);
  seen.more = await page.locator("#results .rank").allTextContents();
  return seen;
}

/** Ask for what nothing here is about. */
export async function nothing(page, { query }) {
  await page.fill("#query", query);
  await answered(page, query);
  const hits = await page.locator("#results li").count();
  return [hits, await page.locator("#nothing").isVisible(), await page.locator("#count").textContent()];
}

/** Wait until all of the page is kept for offline use. */
export async function kept(page) {
  await page.waitForFunction(() => document.getElementById("offline").textContent);
  return page.evaluate(async () => {
    const [name] = await caches.keys();
    const requests = await (await caches.open(name)).keys();
    return requests.map(({ url }) => url.slice(location.href.split("#")[0].length)).sort();
  });
}

/** See whether anything sticks out sideways where little room is. */
export async function narrow(page, { query }) {
  await page.setViewportSize({ width: 320, height: 568 });
  await page.fill("#query", query);
  await answered(page, query);
  const width = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
  });
  await page.setViewportSize({ width: 1280, height: 800 });
  return width;
}
