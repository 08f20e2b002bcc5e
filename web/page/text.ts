/** Numbers as people read them, and elements without a word of HTML from the data. */

const WHOLE = new Intl.NumberFormat("en");

/** "6,149". */
export const whole = (count: number): string => WHOLE.format(count);

/** "1 document", "2 documents". */
export const counted = (count: number, noun: string): string =>
  `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

/** "980 bytes", "12 kB", "3.4 MB": powers of ten, as downloads are counted. */
export function size(bytes: number): string {
  if (bytes < 1000) return counted(bytes, "byte");
  if (bytes < 999_500) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 99.95e6 ? 1 : 0)} MB`;
}

/** "0.4", "12": milliseconds, as finely as the clock can tell. */
export const milliseconds = (ms: number): string => ms.toFixed(ms < 9.95 ? 1 : 0);

/** The element of the page by this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element #${id}`);
  return element as E;
}

/** Make an element; strings become text, never markup. */
export function make(tag: string, className: string, ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}
