import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { fromBase64 } from "../src/bytes";
import type { Manifest } from "../src/manifest";
import { type Tensor, Tensors } from "../src/safetensors";

/** An array as make_fixtures.py stores it. */
export interface Stored {
  dtype: string;
  shape: number[];
  data: string;
}

/** Read a JSON file of the fixtures. */
export function fixture<Content>(name: string): Content {
  return JSON.parse(file(name).toString()) as Content;
}

/** Read a file of the fixtures. */
export function file(name: string): Buffer {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url));
}

/** Read an array that make_fixtures.py stored. */
export function array(stored: Stored): Tensor["values"] {
  const { buffer } = fromBase64(stored.data);
  if (stored.dtype === "f4") return new Float32Array(buffer);
  return stored.dtype === "i4" ? new Int32Array(buffer) : new Uint8Array(buffer);
}

/** Read float32 rows. */
export function rows(stored: Stored): Float32Array[] {
  const [count = 0, width = 0] = stored.shape;
  const values = array(stored) as Float32Array;
  return Array.from({ length: count }, (_, i) => values.slice(i * width, (i + 1) * width));
}

/** Read arrays by name. */
export function tensors(stored: Record<string, Stored>): Tensors {
  const entries = Object.entries(stored).map(
    ([name, one]) => [name, { shape: one.shape, values: array(one) }] as const,
  );
  return new Tensors(new Map(entries), "fixture");
}

/** Changes a file on its way; null for a file that is not there. */
export type Change = (name: string, content: Buffer) => Buffer | null;

/** Change the manifest on its way. */
export function edited(edit: (manifest: Manifest) => void): Change {
  return (name, content) => {
    if (name !== "manifest.json") return content;
    const manifest = JSON.parse(content.toString()) as Manifest;
    edit(manifest);
    return Buffer.from(JSON.stringify(manifest));
  };
}

/**
 * Serve a folder of the fixtures below `/data/`, and onnxruntime's binary below `/runtime/`.
 *
 * @param folder - Of the fixtures.
 * @param change - What is done to a file on its way.
 * @param others - More files, by the path below which they are served.
 */
export async function serve(
  folder: string,
  change: Change = (_, c) => c,
  others: Record<string, string> = {},
): Promise<Served> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!.slice(1));
    const name = request.url!.slice(1).split("?")[0]!;
    const content = read({ ...others, data: fixtures(folder) }, name);
    const sent = content && change(name.slice(name.lastIndexOf("/") + 1), content);
    if (name.endsWith(".js")) response.setHeader("content-type", "text/javascript");
    response.writeHead(sent === null ? 404 : 200).end(sent ?? "nothing here");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/data/`, asked, close: () => close(server) };
}

/** A running server. */
export interface Served {
  url: string;
  asked: string[];
  close(): Promise<void>;
}

function fixtures(folder: string): string {
  return fileURLToPath(new URL(`fixtures/${folder}`, import.meta.url));
}

function read(folders: Record<string, string>, name: string): Buffer | null {
  const [top = "", ...rest] = name.split("/");
  if (top === "runtime") return name.includes("asyncify") ? null : runtime();
  try {
    return readFileSync(join(folders[top] ?? "", ...rest));
  } catch {
    return null;
  }
}

let packed: Buffer | undefined;

function runtime(): Buffer {
  const { resolve } = createRequire(import.meta.url);
  const path = resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm");
  packed ??= gzipSync(readFileSync(path), { level: 1 });
  return packed;
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
