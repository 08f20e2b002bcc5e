import type { Documents } from "./documents.js";
import type { Encoder } from "./encoder.js";
import { InputError } from "./errors.js";
import type { Folder } from "./folder.js";
import type { Manifest } from "./manifest.js";
import type { EncodeOptions, Press, Role, SearchOptions, SearchResult } from "./press.js";
import type { Tokenizer } from "./tokenizer.js";

/** A press that computes where it is: in the page, or in the worker that it was opened in. */
export class LocalPress implements Press {
  readonly manifest: Manifest;
  readonly bytes: Readonly<Record<string, number>>;
  readonly device: Press["device"];
  readonly #tokenizers: Tokenizer[];
  #parts: { encoder: Encoder; documents: Documents } | null;

  constructor(folder: Folder, tokenizers: Tokenizer[], encoder: Encoder, documents: Documents) {
    this.manifest = folder.manifest;
    this.bytes = folder.bytes;
    this.device = encoder.device;
    this.#tokenizers = tokenizers;
    this.#parts = { encoder, documents };
  }

  async search(text: string, options: SearchOptions = {}): Promise<SearchResult> {
    const { k = 10, signal } = options;
    checkText(text);
    checkK(k);
    signal?.throwIfAborted();
    const { encoder, documents } = this.#open();
    const started = performance.now();
    const ids = this.#tokenize(text, "query");
    const tokenized = performance.now();
    const query = await encoder.embed(ids, "query");
    const encoded = performance.now();
    signal?.throwIfAborted();
    const hits = documents.search(query, k);
    const scanned = performance.now();
    const timings = {
      tokenize: tokenized - started,
      encode: encoded - tokenized,
      scan: scanned - encoded,
      total: scanned - started,
    };
    return { hits, timings };
  }

  async encode(texts: string[], options: EncodeOptions = {}): Promise<Float32Array[]> {
    if (!Array.isArray(texts)) {
      throw new InputError(`encode takes a list of texts, got ${shown(texts)}: write [text]`);
    }
    texts.forEach(checkText);
    const { role = "document" } = options;
    if (role !== "query" && role !== "document") {
      throw new InputError(`role must be "query" or "document", got ${shown(role)}`);
    }
    const rows: Float32Array[] = [];
    for (const text of texts) rows.push(await this.embed(text, role));
    return rows;
  }

  /** Embed one text. */
  async embed(text: string, role: Role): Promise<Float32Array> {
    return this.#open().encoder.embed(this.#tokenize(text, role), role);
  }

  close(): void {
    void this.#parts?.encoder.close();
    this.#parts = null;
  }

  #open(): { encoder: Encoder; documents: Documents } {
    if (this.#parts === null) throw new InputError("this press was closed: open it again");
    return this.#parts;
  }

  #tokenize(text: string, role: Role): number[][] {
    return this.#tokenizers.map((tokenizer) => tokenizer.encode(text, role));
  }
}

function checkText(text: unknown): void {
  if (typeof text !== "string") throw new InputError(`a text must be a string, got ${shown(text)}`);
}

function checkK(k: number): void {
  if (Number.isInteger(k) && k >= 1) return;
  throw new InputError(`k must be a whole number of at least 1, got ${shown(k)}`);
}

function shown(value: unknown): string {
  return String(JSON.stringify(value) ?? value).slice(0, 60);
}
