import { afterEach, describe, expect, test, vi } from "vitest";

import { ByteRows } from "../src/byte_rows";
import type { Codec } from "../src/codec";
import { best } from "../src/ranking";
import { makeScanner, PlainScanner } from "../src/scan";
import { SimdScanner } from "../src/simd_scan";

/** Numbers from 0 to 1 that look random, the same ones each time. */
function drawing(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A codec with a level for each number's cells. */
class Levels implements Codec {
  readonly codeBytes: number;

  constructor(
    readonly numbers: number,
    readonly bits: number,
    readonly levels: Float32Array,
  ) {
    this.codeBytes = Math.ceil((numbers * bits) / 8);
  }

  products(query: Float32Array): Float32Array {
    return this.levels.map((level, i) => level * query[i >> this.bits]!);
  }

  squares(): Float32Array {
    return this.levels.map((level) => level * level);
  }
}

function made(numbers: number, bits: number, count: number, seed: number) {
  const draw = drawing(seed);
  const levels = Float32Array.from({ length: numbers << bits }, () => draw() - 0.5);
  const codec = new Levels(numbers, bits, levels);
  const codes = Uint8Array.from({ length: count * codec.codeBytes }, () => draw() * 256);
  const spare = codec.codeBytes * 8 - numbers * bits; // bits past the end of a code are 0
  for (let at = codec.codeBytes - 1; at < codes.length; at += codec.codeBytes) {
    codes[at]! &= 255 >> spare;
  }
  const queries = Array.from({ length: 4 }, () =>
    Float32Array.from({ length: numbers }, () => draw() - 0.5),
  );
  return { codec, codes, queries };
}

afterEach(() => vi.unstubAllGlobals());

describe("many rows at once", () => {
  test.each([
    [256, 2, 5000, 10],
    [128, 4, 5000, 1],
    [85, 3, 3000, 10],
    [7, 1, 3000, 100],
    [4096, 4, 100, 5], // more half bytes than 127 times which 16 bits hold
    [33, 2, 17, 17],
    [9, 4, 1, 1],
  ])("%d numbers of %d bits, %d rows, %d best: the ranking is the same", (numbers, bits, n, k) => {
    const { codec, codes, queries } = made(numbers, bits, n, numbers + bits);
    const rows = new ByteRows(codec, codes);
    const simd = SimdScanner.make(codec, codes, rows)!;
    const plain = new PlainScanner(codec, rows);
    for (const query of queries) {
      const [found, wanted] = [simd.search(query, k), plain.search(query, k)];
      expect(found.rows).toEqual(wanted.rows);
      found.scores.forEach((score, i) => expect(score).toBeCloseTo(wanted.scores[i]!, 6));
    }
  });

  test("a query of zeros, or of huge or tiny numbers, is no exception", () => {
    const { codec, codes, queries } = made(64, 2, 500, 3);
    const rows = new ByteRows(codec, codes);
    const simd = SimdScanner.make(codec, codes, rows)!;
    const plain = new PlainScanner(codec, rows);
    expect(simd.search(new Float32Array(64), 3).rows).toEqual([0, 1, 2]);
    for (const factor of [1e12, 1e-12]) {
      const query = queries[0]!.map((value) => value * factor);
      expect(simd.search(query, 20).rows).toEqual(plain.search(query, 20).rows);
    }
  });
});

test.each([
  [1, SimdScanner],
  [3, SimdScanner],
  [4, SimdScanner],
  [5, PlainScanner],
  [8, PlainScanner],
])("codes of %d bits are scanned by the fastest way", (bits, kind) => {
  const { codec, codes } = made(16, bits, 3, 1);
  expect(makeScanner(codec, codes)).toBeInstanceOf(kind);
});

test("without SIMD, or WebAssembly, codes are scanned all the same", () => {
  const { codec, codes, queries } = made(16, 2, 50, 1);
  const wanted = makeScanner(codec, codes).search(queries[0]!, 5).rows;
  vi.stubGlobal("WebAssembly", undefined);
  const scanner = makeScanner(codec, codes);
  expect(scanner).toBeInstanceOf(PlainScanner);
  expect(scanner.search(queries[0]!, 5).rows).toEqual(wanted);
});

describe("the best", () => {
  test("of equal scores is the earlier row", () => {
    const scores = Float32Array.of(1, 3, 2, 3, 2, 0, 3);
    expect(best(scores, 4)).toEqual({ rows: [1, 3, 6, 2], scores: [3, 3, 3, 2] });
    expect(best(scores, 1).rows).toEqual([1]);
  });

  test("are no more than there are", () => {
    expect(best(Float32Array.of(-1, 0), 9)).toEqual({ rows: [1, 0], scores: [0, -1] });
    expect(best(new Float32Array(0), 3)).toEqual({ rows: [], scores: [] });
  });

  test("of many are those that sorting finds", () => {
    const scores = Float32Array.from({ length: 5000 }, (_, i) => ((i * 7919) % 997) / 997);
    const wanted = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b);
    for (const k of [1, 10, 999, 5000]) expect(best(scores, k).rows).toEqual(wanted.slice(0, k));
  });
});
