import { describe, expect, test } from "vitest";

import { ByteRows } from "../src/byte_rows";
import { readCodec } from "../src/codec";
import type { CodecShape } from "../src/manifest";
import type { Ranking } from "../src/ranking";
import { Rescorer } from "../src/rescore";
import { PlainScanner } from "../src/scan";
import { SimdScanner } from "../src/simd_scan";
import { array, fixture, rows, type Stored, tensors } from "./helpers";

interface Case {
  codec: CodecShape;
  tensors: Record<string, Stored>;
  codes: Stored;
  queries: Stored;
  rows: number[][];
  scores: Stored;
}

const CASES = fixture<Case[]>("codecs.json").map((one) => {
  const { kind, bits, rotation } = one.codec;
  const groups = one.codec.kind === "product" ? ` in ${one.codec.groups} groups` : "";
  const name = `${kind} codes of ${bits} bits${groups}${rotation ? ", rotated" : ""}`;
  return { name, ...one };
});

/** Of rows whose scores differ by less than float32 can tell, either may come first. */
function sameRanking(found: Ranking, wantedRows: number[], wantedScores: Float32Array): void {
  const score = new Map(wantedRows.map((row, place) => [row, wantedScores[place]!]));
  expect(found.rows.toSorted((a, b) => a - b)).toEqual(wantedRows.toSorted((a, b) => a - b));
  found.rows.forEach((row, place) => {
    expect(Math.abs(found.scores[place]! - score.get(row)!)).toBeLessThan(1e-5);
    expect(Math.abs(score.get(row)! - wantedScores[place]!)).toBeLessThanOrEqual(1e-6);
    const ties = found.scores[place] === found.scores[place - 1];
    if (ties) expect(row).toBeGreaterThan(found.rows[place - 1]!);
  });
}

test("every kind of code is among the fixtures", () => {
  const scalars = CASES.filter((one) => one.codec.kind === "scalar");
  expect(new Set(scalars.map((one) => one.codec.bits))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8]));
  expect(CASES.filter((one) => one.codec.kind === "product").length).toBeGreaterThan(2);
});

describe.each(CASES)("$name", (one) => {
  const codec = readCodec(one.codec, tensors(one.tensors), "codec");
  const codes = array(one.codes) as Uint8Array;
  const wanted = rows(one.scores);

  test("are ranked as Python ranks them", () => {
    expect(codec.codeBytes).toBe(one.codes.shape[1]);
    const scanner = new PlainScanner(codec, new ByteRows(codec, codes));
    rows(one.queries).forEach((query, q) => {
      sameRanking(scanner.search(query, codes.length), one.rows[q]!, wanted[q]!);
    });
  });

  test("are ranked so by many rows at once", () => {
    const scanner = SimdScanner.make(codec, codes, new ByteRows(codec, codes));
    if (codec.bits > 4) return expect(scanner).toBeNull();
    rows(one.queries).forEach((query, q) => {
      sameRanking(scanner!.search(query, codes.length), one.rows[q]!, wanted[q]!);
      const { rows: few, scores } = scanner!.search(query, 5);
      sameRanking({ rows: few, scores }, one.rows[q]!.slice(0, 5), wanted[q]!.slice(0, 5));
    });
  });

  test("are rescored as they are ranked", () => {
    const backwards = one.rows[0]!.toSorted((a, b) => b - a);
    rows(one.queries).forEach((query, q) => {
      const found = new Rescorer(codec, codes).order(backwards, query, codes.length);
      sameRanking(found, one.rows[q]!, wanted[q]!);
    });
  });
});
