import type { Manifest } from "./manifest.js";

/** Whether a text is searched for or searched in. */
export type Role = "query" | "document";

/** Told how much of what has been downloaded, in bytes as they lie on the server. */
export interface Progress {
  /** "download" while files come, "prepare" while they are made ready, "ready" at the end. */
  stage: "download" | "prepare" | "ready";
  /** The file that a piece of came; "" outside of "download". */
  file: string;
  loaded: number;
  total: number;
}

/** How to open a folder. */
export interface OpenOptions {
  /** Called whenever a piece of a file has come. */
  onProgress?: (progress: Progress) => void;
  /** Whether to check that the golden texts get the vectors that Python gave them; true if left out. */
  verify?: boolean;
  /** Folder of the runtime's `*.wasm.gz`, which only the engine "onnx" needs; "../runtime/" beside the data if left out. */
  runtime?: string | URL;
  /** Whether to use WebGPU where there is one; true if left out. Never used with int8. */
  webgpu?: boolean;
}

/** How to search. */
export interface SearchOptions {
  /** How many hits, 10 if left out; fewer are given if there are fewer documents. */
  k?: number;
  /** Gives the search up: its promise is rejected with an AbortError. */
  signal?: AbortSignal;
}

/** How to encode. */
export interface EncodeOptions {
  /** "document" if left out, as in Python. */
  role?: Role;
}

/** A document found. */
export interface Hit {
  id: string;
  /** Inner product of the query with what the document's code stands for; higher is better. */
  score: number;
  /** Where the document stands in the folder. */
  row: number;
  /** The beginning of the document; "" if none was kept. */
  text: string;
}

/** Milliseconds that the parts of a search took. */
export interface Timings {
  tokenize: number;
  encode: number;
  scan: number;
  total: number;
}

/** Hits, best first; of equal scores the earlier document. */
export interface SearchResult {
  hits: Hit[];
  timings: Timings;
}

/** A press and the documents it has coded, ready to be searched. */
export interface Press {
  readonly manifest: Manifest;
  /** Bytes downloaded, by file; a file that came through a cache counts too. */
  readonly bytes: Readonly<Record<string, number>>;
  /** What the encoder runs on. */
  readonly device: "javascript" | "wasm" | "webgpu";
  /** Find the documents nearest to a text. */
  search(text: string, options?: SearchOptions): Promise<SearchResult>;
  /** Embed texts: unit rows of `manifest.press.dim` numbers; a text without known tokens gives zeros. */
  encode(texts: string[], options?: EncodeOptions): Promise<Float32Array[]>;
  /** Give memory and worker back; the press cannot be used any more. */
  close(): void;
}
