/** Rows and their scores, best first; of equal scores the earlier row. */
export interface Ranking {
  rows: number[];
  scores: number[];
}

/** The `k` best of rows that are offered in order. */
export class Top {
  /** What a row has to score more than to be among them. */
  least = -Infinity;
  readonly #rows: Int32Array;
  readonly #scores: Float32Array;
  #count = 0;

  constructor(k: number) {
    this.#rows = new Int32Array(k);
    this.#scores = new Float32Array(k);
  }

  /** Take a row in, if it is good enough; scores are compared as the float32 they are kept in. */
  offer(row: number, exact: number): void {
    const score = Math.fround(exact);
    const last = this.#rows.length - 1;
    if (this.#count > last && !(score > this.least)) return;
    const place = this.#firstBelow(score);
    this.#rows.copyWithin(place + 1, place, last);
    this.#scores.copyWithin(place + 1, place, last);
    this.#rows[place] = row;
    this.#scores[place] = score;
    if (this.#count <= last) this.#count++;
    if (this.#count > last) this.least = this.#scores[last]!;
  }

  /** Give those that were taken in. */
  ranking(): Ranking {
    return {
      rows: Array.from(this.#rows.subarray(0, this.#count)),
      scores: Array.from(this.#scores.subarray(0, this.#count)),
    };
  }

  #firstBelow(score: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#scores[middle]! < score) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Find the `k` highest scores; of equal ones the first. */
export function best(scores: Float32Array, k: number): Ranking {
  const top = new Top(Math.min(k, scores.length));
  for (let row = 0; row < scores.length; row++) {
    if (!(scores[row]! <= top.least)) top.offer(row, scores[row]!);
  }
  return top.ranking();
}
