import { Head } from "./head.js";
import type { Manifest } from "./manifest.js";
import type { Press, Role } from "./press.js";
import type { Tensors } from "./safetensors.js";
import { Table } from "./tables.js";
import type { Tokenizer } from "./tokenizer.js";
import { normalize } from "./vectors.js";

/** From token ids, one sequence for each of a manifest's inputs, to a unit row. */
export interface Encoder {
  readonly device: Press["device"];
  embed(ids: number[][], role: Role): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Tables, side by side, and a head: nothing that a browser cannot compute by itself. */
export class StaticEncoder implements Encoder {
  readonly device = "javascript";
  readonly #tables: Table[];
  readonly #head: Head | null;
  readonly #tokenizers: Tokenizer[];

  constructor(manifest: Manifest, tensors: Tensors, tokenizers: Tokenizer[]) {
    this.#tables = (manifest.branches ?? []).map((branch) => new Table(branch, tensors));
    this.#head = manifest.head && new Head(manifest.head, tensors);
    this.#tokenizers = tokenizers;
  }

  async embed(ids: number[][]): Promise<Float32Array> {
    const blocks = this.#tables.map((table) => {
      const { input } = table.branch;
      return table.embed(this.#tokenizers[input]!.within(ids[input]!));
    });
    const joined = blocks.length === 1 ? blocks[0]! : this.#concatenate(blocks);
    return this.#head === null ? joined : this.#head.compress(joined);
  }

  async close(): Promise<void> {}

  #concatenate(blocks: Float32Array[]): Float32Array {
    const joined = blocks.flatMap((block, i) => {
      const { scale } = this.#tables[i]!.branch;
      return Array.from(block, (value) => scale * value);
    });
    return normalize(Float32Array.from(joined));
  }
}
