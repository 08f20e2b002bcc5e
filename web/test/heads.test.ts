import { expect, test } from "vitest";

import { Head } from "../src/head";
import type { HeadShape } from "../src/manifest";
import { fixture, rows, type Stored, tensors } from "./helpers";

interface Case {
  head: HeadShape;
  tensors: Record<string, Stored>;
  x: Stored;
  y: Stored;
}

const CASES = fixture<Case[]>("heads.json").map((one) => ({
  form: JSON.stringify(one.head),
  ...one,
}));

test.each(CASES)("a head compresses as Python's does: $form", (one) => {
  const head = new Head(one.head, tensors(one.tensors));
  const wanted = rows(one.y);
  rows(one.x).forEach((x, i) => {
    const before = x.slice();
    const made = head.compress(x);
    expect(made.length).toBe(wanted[i]!.length);
    made.forEach((value, j) => expect(Math.abs(value - wanted[i]![j]!)).toBeLessThan(1e-6));
    expect(x).toEqual(before);
  });
});
