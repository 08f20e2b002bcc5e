import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync, gzipSync } from "node:zlib";

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { download } from "../src/download";
import { open } from "../src/index";
import type { Manifest } from "../src/manifest";
import type { Press, Progress, Role, SearchResult } from "../src/press";
import { type Change, edited, file, fixture, serve, type Served } from "./helpers";

interface Expected {
  questions: string[];
  k: number;
  ids: string[][];
  rows: number[][];
  scores: number[][];
  vectors: Record<Role, number[][]>;
}

let closing: (() => unknown)[] = [];

afterEach(async () => {
  vi.unstubAllGlobals();
  for (const close of closing) await close();
  closing = [];
});

async function served(folder: string, change?: Change): Promise<Served> {
  const server = await serve(folder, change);
  closing.push(() => server.close());
  return server;
}

async function opened(folder: string, options?: Parameters<typeof open>[1]): Promise<Press> {
  const press = await open((await served(folder)).url, options);
  closing.unshift(() => press.close());
  return press;
}

function shown({ hits }: SearchResult): [string, number][] {
  return hits.map((hit) => [hit.id, Number(hit.score.toFixed(4))]);
}

describe.each(["static", "onnx"])("a folder of the engine %s", (folder) => {
  const expected = fixture<Expected>(`${folder}/expected.json`);
  const manifest = fixture<Manifest>(`${folder}/manifest.json`);
  const told: Progress[] = [];
  let server: Served;
  let press: Press;

  beforeAll(async () => {
    server = await serve(folder);
    press = await open(server.url, { onProgress: (progress) => told.push(progress) });
  });

  afterAll(async () => {
    press.close();
    await server.close();
  });

  test("gives the hits that Python gives", async () => {
    for (const [q, question] of expected.questions.entries()) {
      const { hits } = await press.search(question, { k: expected.k });
      expect(hits.map((hit) => hit.id)).toEqual(expected.ids[q]);
      expect(hits.map((hit) => hit.row)).toEqual(expected.rows[q]);
      hits.forEach((hit, i) => expect(hit.score).toBeCloseTo(expected.scores[q]![i]!, 5));
    }
  });

  test.each(["query", "document"] as const)("encodes a %s as Python does", async (role) => {
    const vectors = await press.encode(expected.questions, { role });
    vectors.forEach((vector, i) => {
      expect(vector).toBeInstanceOf(Float32Array);
      expect(vector.length).toBe(manifest.press.dim);
      vector.forEach((v, j) => expect(v).toBeCloseTo(expected.vectors[role][i]![j]!, 5));
    });
  });

  test("says of each hit what the document is", async () => {
    const { hits, timings } = await press.search("red cat");
    expect(hits.length).toBe(manifest.documents.count);
    expect(new Set(hits.map((hit) => hit.row)).size).toBe(manifest.documents.count);
    expect(hits.find((hit) => hit.row === 1)!.text).toBe("a dog ran under the red tree");
    expect(timings.total).toBeCloseTo(timings.tokenize + timings.encode + timings.scan, 6);
    expect(timings.total).toBeGreaterThan(0);
  });

  test("tells what it downloads, once each", () => {
    const wanted = Object.entries(manifest.files).map(
      ([name, { sha256 }]) => `data/${name}?v=${sha256.slice(0, 16)}`, // never an older one's copy
    );
    if (folder === "onnx") wanted.push("runtime/ort-wasm-simd-threaded.wasm.gz");
    expect(server.asked.toSorted()).toEqual(["data/manifest.json", ...wanted].toSorted());
    for (const [name, { bytes }] of Object.entries(manifest.files)) {
      expect(press.bytes[name]).toBe(bytes);
    }
    expect(press.bytes["manifest.json"]).toBe(file(`${folder}/manifest.json`).length);
    const last = told.findLast((one) => one.stage === "download")!;
    expect(last.loaded).toBe(last.total);
    expect(told.map((one) => one.stage).filter((s, i, all) => s !== all[i - 1])).toEqual([
      "download",
      "prepare",
      "ready",
    ]);
  });

  test("names its device", () => {
    expect(press.device).toBe(folder === "onnx" ? "wasm" : "javascript");
  });
});

test("a server may unpack the files itself", async () => {
  const unpack: Change = (name, content) => (name.endsWith(".gz") ? gunzipSync(content) : content);
  const told: Progress[] = [];
  const onProgress = (progress: Progress) => told.push(progress);
  const press = await open((await served("static", unpack)).url, { onProgress });
  const files = Object.values(fixture<Manifest>("static/manifest.json").files);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const downloads = told.filter((one) => one.stage === "download");
  expect(new Set(downloads.map((one) => one.total))).toEqual(new Set([total])); // from the first on
  expect(downloads.at(-1)!.loaded).toBe(total);
  const packed = await (await opened("static")).search("blue fish");
  expect(shown(await press.search("blue fish"))).toEqual(shown(packed));
});

test("closing lets a graph finish what it was asked before", async () => {
  const press = await open((await served("onnx")).url);
  const searching = press.search("blue fish");
  press.close();
  expect((await searching).hits.length).toBeGreaterThan(0);
  await expect(press.search("blue fish")).rejects.toThrow("this press was closed");
});

test("what a server packs on the way counts as it came", async () => {
  const content = readFileSync(new URL("fixtures/static/manifest.json", import.meta.url));
  const sent = gzipSync(content);
  const headers = { "content-encoding": "gzip", "content-length": String(sent.length) };
  const packing = createServer((_, response) => response.writeHead(200, headers).end(sent));
  await new Promise<void>((resolve) => packing.listen(0, "127.0.0.1", resolve));
  const { port } = packing.address() as AddressInfo;
  const got = await download(new URL(`http://127.0.0.1:${port}/x`), null, () => {});
  packing.close();
  expect(Buffer.from(got.bytes).equals(content)).toBe(true);
  expect(got.received).toBe(sent.length);
});

describe("a call that makes no sense", () => {
  test.each([0, -1, 1.5, NaN])("k = %d is refused", async (k) => {
    const searching = (await opened("static")).search("cat", { k });
    await expect(searching).rejects.toMatchObject({ name: "InputError" });
    await expect(searching).rejects.toThrow(/^k must be a whole number of at least 1, got /);
  });

  test("a text is a string, and texts are a list", async () => {
    const press = await opened("static");
    await expect(press.search(3 as unknown as string)).rejects.toThrow(
      "a text must be a string, got 3",
    );
    await expect(press.encode("cat" as unknown as string[])).rejects.toThrow(
      'encode takes a list of texts, got "cat": write [text]',
    );
    await expect(press.encode(["cat"], { role: "both" as Role })).rejects.toThrow(
      'role must be "query" or "document", got "both"',
    );
  });

  test("a press that was closed says so", async () => {
    const press = await opened("static");
    press.close();
    press.close();
    await expect(press.search("cat")).rejects.toThrow("this press was closed: open it again");
  });

  test("a search may be given up", async () => {
    const press = await opened("static");
    const searching = press.search("cat", { signal: AbortSignal.abort() });
    await expect(searching).rejects.toMatchObject({ name: "AbortError" });
  });

  test("an address is one", async () => {
    await expect(open("data/")).rejects.toThrow('"data/" is not the address of a folder');
  });
});

describe("WebGPU", () => {
  const floats = edited((manifest) => (manifest.precision = "float32"));
  const halves = edited((manifest) => (manifest.precision = "float16"));
  const binary = "runtime/ort-wasm-simd-threaded.asyncify.wasm.gz";

  async function tried(
    change: Change | undefined,
    features: string[] = [],
    options = {},
  ): Promise<[string, boolean]> {
    const adapter = { features: new Set(features) };
    vi.stubGlobal("navigator", { gpu: { requestAdapter: async () => adapter } });
    const server = await served("onnx", change);
    const press = await open(server.url, options);
    press.close();
    return [press.device, server.asked.includes(binary)];
  }

  test("is tried where there is one; what it cannot do, wasm does", async () => {
    expect(await tried(floats)).toEqual(["wasm", true]);
    expect(await tried(halves, ["shader-f16"])).toEqual(["wasm", true]);
  });

  test("is not tried for halves that it does not know", async () => {
    expect(await tried(halves)).toEqual(["wasm", false]);
  });

  test("is not tried for whole numbers, or where it is not wanted", async () => {
    expect(await tried(undefined)).toEqual(["wasm", false]);
    expect(await tried(floats, [], { webgpu: false })).toEqual(["wasm", false]);
  });
});

test("k beyond the documents gives all of them", async () => {
  const press = await opened("static");
  expect((await press.search("cat", { k: 1000 })).hits.length).toBe(8);
  expect(await press.encode([])).toEqual([]);
});

test("a folder may be named without the slash at its end", async () => {
  const { url } = await served("static");
  const press = await open(url.slice(0, -1));
  expect(shown(await press.search("cat"))).toEqual(
    shown(await (await opened("static")).search("cat")),
  );
});
