import { describe, expect, test } from "vitest";

import { DamagedError } from "../src/errors";
import type { TokenInput } from "../src/manifest";
import { Tokenizer } from "../src/tokenizer";
import { fixture } from "./helpers";

interface Split {
  file: object;
  bare: number[][];
  framed: number[][];
}

const { texts, tokenizers } = fixture<{ texts: string[]; tokenizers: Record<string, Split> }>(
  "tokens.json",
);

const INPUT: TokenInput = {
  ids: "input_ids",
  mask: "attention_mask",
  tokenizer: "tokenizer.json.gz",
  special_tokens: false,
  ends: [0, 0],
  prompts: { query: "", document: "" },
  max_tokens: null,
  pad_id: 0,
};

function make(file: object, options: Partial<TokenInput> = {}): Tokenizer {
  return new Tokenizer(new TextEncoder().encode(JSON.stringify(file)), { ...INPUT, ...options });
}

describe.each(Object.entries(tokenizers))("%s", (_, { file, bare, framed }) => {
  test.each(texts.map((text, i) => [text, i] as const))("splits %j as Python does", (text, i) => {
    expect(make(file).encode(text, "query")).toEqual(bare[i]);
    expect(make(file, { special_tokens: true }).encode(text, "query")).toEqual(framed[i]);
  });
});

test("a prompt stands before the text of its role", () => {
  const { file, bare } = tokenizers.wordpiece!;
  const tokenizer = make(file, { prompts: { query: "the cat ", document: "" } });
  expect(tokenizer.encode("sat on the mat.", "query")).toEqual(bare[2]);
  expect(tokenizer.encode("the cat sat on the mat.", "document")).toEqual(bare[2]);
});

test("the ends can be left out again", () => {
  const { file, bare, framed } = tokenizers.wordpiece!;
  const tokenizer = make(file, { special_tokens: true, ends: [1, 1] });
  expect(tokenizer.within(framed[2]!)).toEqual(bare[2]);
  expect(tokenizer.within(framed[0]!)).toEqual([]);
});

test("half a character is no reason to fail", () => {
  for (const { file } of Object.values(tokenizers)) {
    const [half, replaced] = ["a\ud83d", "a\ufffd"].map((text) => make(file).encode(text, "query"));
    expect(half).toEqual(replaced);
  }
});

test("what is no tokenizer is refused by name", () => {
  expect(() => new Tokenizer(new TextEncoder().encode("[1, 2"), INPUT)).toThrow(DamagedError);
  expect(() => make({ model: {} })).toThrow(
    /^tokenizer.json.gz is not a tokenizer that runs here: /,
  );
});
