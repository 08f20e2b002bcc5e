import { ByteRows } from "./byte_rows.js";
import type { Codec } from "./codec.js";
import { best, type Ranking } from "./ranking.js";
import { SimdScanner } from "./simd_scan.js";

/** Codes that are scanned whole for every query. */
export interface Scanner {
  /** Find the `k` best codes for a query: the inner products with what they stand for. */
  search(query: Float32Array, k: number): Ranking;
}

/**
 * Prepare codes for being scanned, by the fastest way that there is for them here.
 *
 * @param codec - What the codes mean.
 * @param codes - As the index keeps them, one after the other.
 */
export function makeScanner(codec: Codec, codes: Uint8Array): Scanner {
  const rows = new ByteRows(codec, codes);
  return SimdScanner.make(codec, codes, rows) ?? new PlainScanner(codec, rows);
}

/** Looks every byte up: for all codes, in every browser. */
export class PlainScanner implements Scanner {
  readonly #codec: Codec;
  readonly #rows: ByteRows;
  readonly #inverse: Float32Array;
  readonly #scores: Float32Array;

  constructor(codec: Codec, rows: ByteRows) {
    this.#codec = codec;
    this.#rows = rows;
    this.#inverse = rows.inverseLengths();
    this.#scores = new Float32Array(rows.count);
  }

  search(query: Float32Array, k: number): Ranking {
    const scores = this.#rows.addUp(this.#codec.products(query), this.#scores);
    const inverse = this.#inverse;
    for (let row = 0; row < scores.length; row++) scores[row]! *= inverse[row]!;
    return best(scores, k);
  }
}
