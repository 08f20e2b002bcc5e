import { gunzipSync } from "node:zlib";

import { afterEach, describe, expect, test } from "vitest";

import { open } from "../src/index";
import { type Change, edited, file, serve, type Served } from "./helpers";

let servers: Served[] = [];

afterEach(async () => {
  for (const server of servers) await server.close();
  servers = [];
});

async function served(folder: string, change?: Change): Promise<Served> {
  servers.push(await serve(folder, change));
  return servers.at(-1)!;
}

describe("a folder that cannot be used", () => {
  const failing = async (folder: string, change: Change) =>
    open((await served(folder, change)).url);

  test("names the file that is missing", async () => {
    const opening = failing("static", (name, c) => (name === "codes.bin.gz" ? null : c));
    await expect(opening).rejects.toMatchObject({ name: "DownloadError" });
    await expect(opening).rejects.toThrow(
      /^http:\S+\/data\/codes.bin.gz\S+ cannot be had: the server answers 404; was the whole folder /,
    );
  });

  test("names the manifest where there is none", async () => {
    await expect(failing("static", () => null)).rejects.toThrow(
      /data\/manifest.json cannot be had/,
    );
    const opening = failing("static", () => Buffer.from("<!doctype html>"));
    await expect(opening).rejects.toMatchObject({ name: "DamagedError" });
    await expect(opening).rejects.toThrow(/manifest.json is damaged: it is not JSON$/);
    await expect(failing("static", () => Buffer.from("{}"))).rejects.toThrow(
      /is not a manifest that `vecpress export --to web` wrote$/,
    );
  });

  test("says when no server answers", async () => {
    const server = await served("static");
    await server.close();
    await expect(open(server.url)).rejects.toThrow(/manifest.json cannot be reached: /);
  });

  test("names both versions", async () => {
    const opening = failing(
      "static",
      edited((manifest) => (manifest.format_version = 7)),
    );
    await expect(opening).rejects.toMatchObject({ name: "VersionError" });
    await expect(opening).rejects.toThrow(/has format version 7, and this reader knows 1: export /);
  });

  test("names the file whose bytes are others", async () => {
    const flip: Change = (name, content) => {
      if (name === "codes.bin.gz") content[content.length - 12]! ^= 1;
      return content;
    };
    await expect(failing("static", flip)).rejects.toMatchObject({ name: "DamagedError" });
    await expect(failing("static", flip)).rejects.toThrow(
      /codes.bin.gz\S+ is damaged: its checksum is not the manifest's; export the folder again, or /,
    );
  });

  test("names the file that is cut short, packed or not", async () => {
    const cut: Change = (name, c) => (name === "codes.bin.gz" ? c.subarray(0, -1) : c);
    await expect(failing("static", cut)).rejects.toThrow(
      /codes.bin.gz\S+ is damaged: 43 bytes, not 44;/,
    );
    const less: Change = (name, c) => (name === "codes.bin.gz" ? gunzipSync(c).subarray(1) : c);
    await expect(failing("static", less)).rejects.toThrow(
      /codes.bin.gz\S+ is damaged: 23 bytes, not 24/,
    );
  });

  test("is refused where codes and documents are not as many", async () => {
    const more = edited((manifest) => (manifest.documents.count = 9));
    await expect(failing("static", more)).rejects.toThrow(
      "codes.bin.gz must hold 9 codes of 3 bytes, got 24 bytes",
    );
  });

  test("is refused where the manifest does not list a file", async () => {
    const less = edited((manifest) => delete manifest.files["codes.bin.gz"]);
    await expect(failing("static", less)).rejects.toThrow(/does not list "codes.bin.gz"$/);
  });

  test("is refused where arrays have another shape than the manifest says", async () => {
    const wider = edited((manifest) => (manifest.codec.bits = 4));
    await expect(failing("static", wider)).rejects.toThrow(
      'the array "codec.levels" of tensors.safetensors.gz must be a Float32Array of shape [9,16], ' +
        "got a Float32Array of shape [9,4]",
    );
  });

  test("is refused where the graph is none", async () => {
    const other = edited(({ files, graph, tensors }) => (files[graph!] = files[tensors]!));
    const swapped: Change = (name, content) =>
      name === "model.onnx.gz" ? file("onnx/tensors.safetensors.gz") : other(name, content);
    const opening = failing("onnx", swapped);
    await expect(opening).rejects.toMatchObject({ name: "UnsupportedError" });
    await expect(opening).rejects.toThrow(/^model.onnx.gz cannot be run by this browser: /);
  });

  test("names the runtime's binary where it is missing", async () => {
    const opening = failing("onnx", (name, c) => (name.startsWith("ort-") ? null : c));
    await expect(opening).rejects.toThrow(
      /\/runtime\/ort-wasm-simd-threaded.wasm.gz cannot be had/,
    );
  });
});

describe("golden texts", () => {
  const turned = edited((manifest) => {
    const vectors = new Float32Array(18).fill(1 / 3);
    manifest.golden.vectors = Buffer.from(vectors.buffer).toString("base64");
  });

  test("name the text that is encoded to something else, and how far it is off", async () => {
    const opening = open((await served("static", turned)).url);
    await expect(opening).rejects.toMatchObject({ name: "GoldenError" });
    await expect(opening).rejects.toThrow(
      /^the query "red cat" gets another vector here than in Python: their cosine is -?0\.\d{6}, and /,
    );
  });

  test("may be left unchecked", async () => {
    const press = await open((await served("static", turned)).url, { verify: false });
    expect((await press.search("red cat")).hits.length).toBe(8);
  });
});
