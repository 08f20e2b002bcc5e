/** The search page: reads the folder beside it, and answers while one types. */

import { openInWorker } from "../src/index";
import type { Press, Progress, SearchResult } from "../src/index";
import { showExamples } from "./examples";
import { Latest } from "./latest";
import { keepOffline } from "./offline";
import { Results } from "./results";
import { showAnswer, showFacts, showKept, showProgress } from "./status";
import { byId, counted, whole } from "./text";
import { themeButton } from "./theme";
import { hideTrouble, showTrouble } from "./trouble";
import { queryWords } from "./words";

const PAGE = 10; // hits at first, and as many more each time
const MOST = 50;
const PATIENCE = 120; // ms; a slow engine waits so long for the next key, a fast one not at all

interface Wish {
  query: string;
  k: number;
}

const input = byId<HTMLInputElement>("query");
const results = new Results(byId("results"), () => input.focus());
const latest = new Latest<Wish>(answer);
let press: Press | undefined;
let pace = 0; // ms that the last search took
let shown = 0; // hits of the present query that are on screen

themeButton(byId("theme"));
listen();
input.value = fromHash();
void start();

async function start(): Promise<void> {
  hideTrouble();
  changed();
  try {
    press = await openInWorker(new URL("data/", document.baseURI), { onProgress });
  } catch (error) {
    showProgress(undefined);
    showTrouble(error, () => void start());
    return;
  }
  showProgress(undefined);
  showFacts(press);
  changed();
  void keepOffline(press, showKept);
}

function onProgress(progress: Progress): void {
  if (!press) showProgress(progress);
}

/** Do what the text in the box asks for; called whenever it may be another. */
function changed(k = PAGE): void {
  const query = input.value.trim();
  toHash(query);
  byId("clear").hidden = input.value === "";
  byId("examples").hidden = query !== "" || !press;
  if (!press) return;
  if (query) latest.push({ query, k }, k > PAGE || pace < 30 ? 0 : Math.min(pace, PATIENCE));
  else {
    latest.drop();
    showHits({ query, k: 0 }, undefined);
    showExamples(press.manifest.questions, ask);
  }
}

async function answer(wish: Wish): Promise<void> {
  if (!press) return;
  try {
    const result = await press.search(wish.query, { k: wish.k });
    pace = result.timings.total;
    if (input.value.trim()) showHits(wish, result);
  } catch (error) {
    showTrouble(error, () => location.reload());
  }
}

function showHits({ query, k }: Wish, result: SearchResult | undefined): void {
  const hits = result?.hits ?? [];
  const found = hits.some((hit) => hit.score > 0) ? hits : [];
  const list = byId("results");
  const keep = k > PAGE && list.dataset.query === query ? shown : 0;
  results.show(found, queryWords(query), keep);
  shown = found.length;
  list.dataset.query = query; // whose answer the list is
  if (keep) results.focus(keep);
  byId("more").hidden = found.length < k || k >= MOST || !result;
  byId("nothing").hidden = !result || found.length > 0;
  showAnswer(press, result, found.length);
  document.title = [query, byId("title").textContent].filter(Boolean).join(" · ");
  const total = whole(press?.manifest.documents.count ?? 0);
  byId("count").textContent = result ? `${counted(found.length, "result")} of ${total}` : "";
}

function ask(query: string): void {
  history.pushState(null, "", `#q=${encodeURIComponent(query)}`);
  input.value = query;
  input.focus({ preventScroll: true });
  scrollTo({ top: 0 });
  changed();
}

function listen(): void {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (matchMedia("(pointer: coarse)").matches) input.blur(); // the keyboard covers the results
    else results.focus(0);
  });
  input.addEventListener("input", () => changed());
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && !event.isComposing) {
      event.preventDefault();
      results.focus(0);
    }
  });
  byId("clear").addEventListener("click", clear);
  byId("more").addEventListener("click", () => changed(Math.min(MOST, shown + PAGE)));
  addEventListener("keydown", shortcut);
  addEventListener("hashchange", () => {
    if (fromHash() === input.value.trim()) return;
    input.value = fromHash();
    changed();
  });
}

function shortcut(event: KeyboardEvent): void {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && document.activeElement !== input) {
    event.preventDefault();
    input.focus();
    input.select();
  } else if (event.key === "Escape") {
    if (document.activeElement === input) clear();
    else input.focus();
  } else if (event.key.length === 1 && event.key !== " " && inResults()) input.focus(); // types on
}

function inResults(): boolean {
  return byId("results").contains(document.activeElement);
}

function clear(): void {
  input.value = "";
  input.focus();
  changed();
}

function fromHash(): string {
  return new URLSearchParams(location.hash.slice(1)).get("q") ?? "";
}

function toHash(query: string): void {
  if (query === fromHash()) return;
  const hash = query ? `#q=${encodeURIComponent(query)}` : location.pathname + location.search;
  history.replaceState(null, "", hash);
}
