/** What a page and its worker say to each other. */
import type { EncodeOptions, OpenOptions, Press, Progress, SearchResult } from "./press.js";

/** A request, numbered by the page. */
export type Request =
  | { id: number; ask: "open"; url: string; options: PlainOptions }
  | { id: number; ask: "search"; text: string; k: number }
  | { id: number; ask: "encode"; texts: string[]; options: EncodeOptions }
  /** Nobody waits for the request with this number any more. */
  | { id: number; ask: "forget" };

/** Options that can be sent. */
export type PlainOptions = Omit<OpenOptions, "onProgress" | "runtime"> & { runtime: string };

/** What a press says of itself. */
export type Facts = Pick<Press, "manifest" | "bytes" | "device">;

/** An answer to the request of this number; progress comes before it. */
export type Reply =
  | { id: number; progress: Progress }
  | { id: number; done: Facts | SearchResult | Float32Array[] }
  | { id: number; failed: { name: string; message: string } };
