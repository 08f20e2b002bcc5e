import type { Press, Progress, SearchResult } from "../src/index";
import { byId, counted, make, milliseconds, size, whole } from "./text";

/** Show how much has been downloaded; without progress, that nothing is under way. */
export function showProgress(progress: Progress | undefined): void {
  const bar = byId("progress");
  const { loaded, total } = progress ?? { loaded: 0, total: 0 };
  const share = total > 0 ? Math.min(100, Math.round((100 * loaded) / total)) : 0;
  bar.hidden = !progress;
  bar.setAttribute("aria-valuenow", String(share));
  (bar.firstElementChild as HTMLElement).style.inlineSize = `${share}%`;
  byId("answer").textContent = !progress
    ? "\u00a0"
    : progress.stage === "download"
      ? `Loading ${size(loaded)} of ${size(total)}`
      : "Getting ready";
}

/** Say what is searched here, and with what. */
export function showFacts({ manifest, bytes, device }: Press): void {
  const { count } = manifest.documents;
  const { code_bytes: each, models, vecpress } = manifest.press;
  byId("title").textContent = manifest.title;
  document.title = manifest.title;
  const facts = [
    counted(count, "document"),
    `${counted(each, "byte")} each`,
    models.join(" + "),
  ];
  byId("facts").replaceChildren(...facts.map((fact) => make("span", "", fact)));
  const engine = device === "javascript" ? "static" : device;
  const page = Number(document.documentElement.dataset.bytes ?? 0);
  const total = Object.values(bytes).reduce((sum, file) => sum + file, page);
  const size_ = make("span", "", size(total));
  size_.title = Object.entries(bytes)
    .map(([file, n]) => `${file}: ${size(n)}`)
    .concat(page ? `page: ${size(page)}` : [])
    .join("\n");
  byId("engine").replaceChildren(make("span", "", `${engine} engine`), size_);
  byId("maker").textContent = `vecpress ${vecpress} · no query leaves this device`;
}

/** Say how long the search took, and its parts. */
export function showAnswer(press: Press | undefined, result: SearchResult | undefined, found: number): void {
  const line = byId("answer");
  if (!press || !result) {
    line.textContent = "\u00a0";
    return;
  }
  const { tokenize, encode, scan, total } = result.timings;
  const parts = `tokenize ${milliseconds(tokenize)} · encode ${milliseconds(encode)} · scan ${milliseconds(scan)}`;
  line.replaceChildren(
    make("span", "", `${found} of ${whole(press.manifest.documents.count)} in `),
    make("b", "", `${milliseconds(total)} ms`),
    make("span", "parts", ` ${parts}`),
  );
}

/** Say whether the page can be used without a network. */
export function showKept(kept: boolean): void {
  byId("offline").textContent = kept ? "· works offline" : "";
}
