import { describe, expect, it } from "vitest";

import { pieces, queryWords } from "../../page/words";

const marked = (text: string, query: string): string[] =>
  pieces(text, queryWords(query)).flatMap(([piece, is]) => (is ? [piece] : []));

describe("the words of a query", () => {
  it("are folded, and those left out that say nothing", () => {
    expect(queryWords("How do I SPLIT the Übung's PATHS?")).toEqual(new Set(["split", "ubung", "paths"]));
    expect(queryWords("what isn’t it?")).toEqual(new Set());
    expect(queryWords(" … ")).toEqual(new Set());
  });
});

describe("a text", () => {
  it.each([
    ["Split a path; splits, pathname, os.path.split", "split path", ["Split", "path", "path", "split"]],
    ["Café, cafe\u0301, CAFE, cafes", "café", ["Café", "cafe\u0301", "CAFE"]],
    ["the file's name, the files", "file", ["file's"]],
    ["is_file(x) and 3D in 3", "file 3", ["file", "3"]],
    ["to be or not to be", "to be or not to be", []],
    ["a+b=c", "a.*b", ["b"]],
  ])("%j asked for %j", (text, query, wanted) => {
    expect(marked(text, query)).toEqual(wanted);
  });

  it("without spaces is cut by the browser's dictionary", () => {
    expect(marked("東京都に行きました", "東京")).toEqual(["東京"]);
  });

  it("is the same when its pieces are put together", () => {
    for (const text of ["", "x", "split x split", "split", "é\n<b>split</b>\u{1f600}"]) {
      expect(pieces(text, new Set(["split"])).map(([piece]) => piece).join("")).toBe(text);
      expect(pieces(text, new Set()).length).toBe(text ? 1 : 0);
    }
  });
});
