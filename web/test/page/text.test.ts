import { expect, it } from "vitest";

import { counted, milliseconds, size } from "../../page/text";

it.each([
  [0, "0 bytes"],
  [1, "1 byte"],
  [999, "999 bytes"],
  [1000, "1 kB"],
  [999_499, "999 kB"],
  [999_500, "1.0 MB"],
  [6_540_000, "6.5 MB"],
  [99_960_000, "100 MB"],
])("%d bytes are %j", (bytes, wanted) => {
  expect(size(bytes)).toBe(wanted);
});

it("counts", () => {
  expect([counted(1, "document"), counted(6149, "document")]).toEqual(["1 document", "6,149 documents"]);
});

it("gives times as finely as they are known", () => {
  expect([0, 0.04, 0.55, 9.94, 9.96, 123.4].map(milliseconds)).toEqual(["0.0", "0.0", "0.6", "9.9", "10", "123"]);
});
