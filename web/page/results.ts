import type { Hit } from "../src/index";
import { make } from "./text";
import { pieces } from "./words";

/** The list of hits. Each is a button; one of them can be reached by Tab, the others by arrows. */
export class Results {
  private hits: HTMLElement[] = [];

  /** Listens to clicks and keys in the list; `leave` is called where the list ends upwards. */
  constructor(
    private readonly list: HTMLElement,
    private readonly leave: () => void,
  ) {
    list.addEventListener("click", (event) => this.clicked(event));
    list.addEventListener("keydown", (event) => this.pressed(event));
    list.addEventListener("focusin", () => this.rove(this.focused));
  }

  /** Put these hits in place of what is shown; those that `keep` says stay as they are. */
  show(hits: readonly Hit[], words: ReadonlySet<string>, keep = 0): void {
    const made = hits.slice(keep).map((hit, i) => item(hit, keep + i, words));
    this.hits = [...this.hits.slice(0, keep), ...made];
    this.list.replaceChildren(...this.hits);
    this.rove(keep);
  }

  /** Give the focus to a hit; the first is 0. */
  focus(at: number): void {
    this.button(at)?.focus();
  }

  private get focused(): number {
    return this.hits.findIndex((hit) => hit.contains(document.activeElement));
  }

  private button(at: number): HTMLElement | undefined {
    return this.hits[at]?.querySelector("button") ?? undefined;
  }

  private rove(to: number): void {
    for (const [i] of this.hits.entries()) this.button(i)?.setAttribute("tabindex", i === to ? "0" : "-1");
  }

  private clicked(event: Event): void {
    const button = (event.target as Element).closest("button");
    if (!button) return;
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    (button.closest("li")?.lastElementChild as HTMLElement).hidden = !open;
  }

  private pressed(event: KeyboardEvent): void {
    const at = this.focused;
    const last = this.hits.length - 1;
    const goals: Record<string, number> = { ArrowDown: Math.min(at + 1, last), ArrowUp: at - 1, Home: 0, End: last };
    const goal = goals[event.key];
    if (goal === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (goal < 0) this.leave();
    else this.focus(goal);
  }
}

/** Draw a hit: its place, id, score, the beginning of its text, and behind a click all that is kept. */
function item(hit: Hit, at: number, words: ReadonlySet<string>): HTMLElement {
  const { rest, body } = parts(hit);
  const id = make("span", "id", ...marked(hit.id, words, breakable));
  const title = make("span", "name", id);
  if (rest) title.append(make("wbr", ""), make("span", "rest", rest));
  title.id = `hit-${at}`;
  const row = make("button", "row", make("span", "rank", String(at + 1)), title, score(hit.score));
  const whole = make("div", "whole", ...marked(body, words), ...cut(body));
  row.setAttribute("type", "button");
  row.setAttribute("aria-expanded", "false");
  row.setAttribute("aria-controls", `text-${at}`);
  whole.id = `text-${at}`;
  whole.hidden = true;
  if (body) {
    const snippet = make("span", "snippet", ...marked(body.replace(/\s+/gu, " "), words), ...cut(body));
    row.append(snippet);
  } else whole.append(make("span", "soft", rest ? "" : "No text of this document was kept."));
  const made = make("li", "", row, whole);
  made.dataset.score = String(hit.score); // all of its digits
  return made;
}

/** Take a text's first line as part of the title where it begins with the id, as a signature does. */
function parts(hit: Hit): { rest: string; body: string } {
  const text = hit.text.trim();
  if (!text.startsWith(hit.id)) return { rest: "", body: text };
  const end = text.indexOf("\n");
  const line = end < 0 ? text : text.slice(0, end);
  return { rest: line.slice(hit.id.length), body: end < 0 ? "" : text.slice(end + 1).trim() };
}

function score(value: number): HTMLElement {
  const fill = make("span", "fill");
  fill.style.inlineSize = `${Math.round(1000 * Math.min(1, Math.max(0, value))) / 10}%`;
  const bar = make("span", "bar", fill);
  bar.setAttribute("aria-hidden", "true");
  const number = make("span", "number", make("span", "unseen", "score "), value.toFixed(3));
  return make("span", "score", bar, number);
}

function marked(
  text: string,
  words: ReadonlySet<string>,
  write = (piece: string): (Node | string)[] => [piece],
): (Node | string)[] {
  return pieces(text, words).flatMap(([piece, is]) => {
    const written = write(piece);
    return is ? [make("mark", "", ...written)] : written;
  });
}

/** Let a long name be broken behind its dots and dashes, and only there if that does. */
function breakable(name: string): (Node | string)[] {
  return name.split(/(?<=[._/:-])/u).flatMap((part) => [part, make("wbr", "")]);
}

/** An index keeps the beginnings of its documents: dots, unless a text ends as sentences do. */
function cut(text: string): Node[] {
  return /[\p{L}\p{N},(;:]$/u.test(text) ? [make("span", "soft", " …")] : [];
}
