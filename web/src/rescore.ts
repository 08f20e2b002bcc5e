import type { Codec } from "./codec.js";
import { best, type Ranking } from "./ranking.js";
import { readNumber } from "./tables.js";

/** The finer codes of all documents, by which those found first are ordered anew. */
export class Rescorer {
  readonly #codec: Codec;
  readonly #codes: Uint8Array;
  readonly #squares: Float32Array;

  constructor(codec: Codec, codes: Uint8Array) {
    this.#codec = codec;
    this.#codes = codes;
    this.#squares = codec.squares();
  }

  /** Order rows by their finer codes, and keep the `k` best. */
  order(rows: number[], query: Float32Array, k: number): Ranking {
    const products = this.#codec.products(query);
    const sorted = rows.toSorted((a, b) => a - b); // of equal scores the earlier row comes first
    const scores = Float32Array.from(sorted, (row) => this.#score(row, products));
    const found = best(scores, k);
    return { rows: found.rows.map((place) => sorted[place]!), scores: found.scores };
  }

  #score(row: number, products: Float32Array): number {
    const { numbers, bits, codeBytes } = this.#codec;
    let product = 0;
    let square = 0;
    for (let i = 0; i < numbers; i++) {
      const entry = (i << bits) + readNumber(this.#codes, row * codeBytes, i, bits);
      product += products[entry]!;
      square += this.#squares[entry]!;
    }
    return square === 0 ? 0 : product / Math.sqrt(square);
  }
}
