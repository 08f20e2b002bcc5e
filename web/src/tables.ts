import type { TableBranch } from "./manifest.js";
import type { Tensors } from "./safetensors.js";
import { DamagedError } from "./errors.js";
import { normalize } from "./vectors.js";

/** A row of whole numbers per token, packed, and a scale for each row. */
export class Table {
  readonly branch: TableBranch;
  readonly #rows: Uint8Array;
  readonly #scales: Float32Array;
  readonly #rowBytes: number;

  constructor(branch: TableBranch, tensors: Tensors) {
    const [count = 0] = tensors.shape(branch.scales);
    this.branch = branch;
    this.#rowBytes = Math.ceil((branch.dim * branch.bits) / 8);
    this.#scales = tensors.floats(branch.scales, [count]);
    this.#rows = tensors.bytes(branch.rows, [count, this.#rowBytes]);
  }

  /** Embed a text: the unit row of its tokens' sum; no known tokens, zeros. */
  embed(ids: number[]): Float32Array {
    const sums = new Float64Array(this.branch.dim);
    for (const [id, count] of this.#counted(ids)) {
      this.#add(sums, id, this.branch.sublinear ? 1 + Math.log(count) : count);
    }
    return normalize(Float32Array.from(sums));
  }

  #counted(ids: number[]): Map<number, number> {
    const known = ids.filter((id) => id !== this.branch.unknown);
    const counts = new Map<number, number>();
    for (const id of known.slice(0, this.branch.max_tokens ?? known.length)) {
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }

  #add(sums: Float64Array, id: number, weight: number): void {
    const scale = this.#scales[id];
    if (scale === undefined) {
      throw new DamagedError(
        `"${this.branch.rows}" has ${this.#scales.length} rows, none for ${id}`,
      );
    }
    const { bits, dim } = this.branch;
    const start = id * this.#rowBytes;
    const zero = 2 ** (bits - 1);
    for (let i = 0; i < dim; i++) {
      sums[i]! += weight * scale * (readNumber(this.#rows, start, i, bits) - zero);
    }
  }
}

/** Read number `i` of a packed row, whose lowest bits come first. */
export function readNumber(bytes: Uint8Array, start: number, i: number, bits: number): number {
  const bit = i * bits;
  const at = start + (bit >> 3);
  const two = bytes[at]! | ((bytes[at + 1] ?? 0) << 8);
  return (two >> (bit & 7)) & ((1 << bits) - 1);
}
