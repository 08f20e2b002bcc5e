/**
 * Search a vecpress index in the browser, without a server.
 *
 * `open` reads a folder written by `vecpress export PRESS --to web`; `openInWorker` does the same
 * in a Web Worker, so that a page stays responsive while it types.
 *
 * @packageDocumentation
 */

export { open } from "./open.js";
export { openInWorker } from "./worker_client.js";
export type {
  EncodeOptions,
  Hit,
  OpenOptions,
  Press,
  Progress,
  Role,
  SearchOptions,
  SearchResult,
  Timings,
} from "./press.js";
export type { Manifest } from "./manifest.js";
export { VecpressError } from "./errors.js";
