import { byId, make } from "./text";

interface Advice {
  title: string;
  text: string;
  command?: string;
}

/** Say in place of the results what went wrong, and what to do about it. */
export function showTrouble(error: unknown, again: () => void): void {
  const { title, text, command } = advice(error);
  const button = make("button", "solid", "Try again");
  button.setAttribute("type", "button");
  button.addEventListener("click", again);
  const parts = [make("h2", "", title), make("p", "", text)];
  if (command) parts.push(make("pre", "", command));
  const section = byId("message");
  section.replaceChildren(...parts, button);
  section.hidden = false;
}

/** Take the message away. */
export function hideTrouble(): void {
  const section = byId("message");
  section.replaceChildren();
  section.hidden = true;
}

const OFFLINE =
  "The data of this page has not been kept on this device yet. Open the page once with a network: " +
  "from then on it works without.";
const EXPORT = "vecpress export PRESS --to web --index INDEX --out DIR";

function advice(error: unknown): Advice {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name === "DownloadError" && !navigator.onLine) return { title: "You are offline", text: OFFLINE };
  if (name === "DownloadError") {
    return { title: "The data could not be downloaded", text: message, command: EXPORT };
  }
  if (name === "DamagedError") return { title: "A file is damaged", text: message };
  if (name === "VersionError") return { title: "Page and data do not fit", text: message, command: EXPORT };
  if (name === "UnsupportedError") return { title: "This browser cannot search here", text: message };
  if (name === "GoldenError") return { title: "This browser computes something else", text: message };
  return { title: "Something went wrong", text: `${name}: ${message}` };
}
