import { Documents } from "./documents.js";
import { type Encoder, StaticEncoder } from "./encoder.js";
import { InputError } from "./errors.js";
import { Folder } from "./folder.js";
import { checkGolden } from "./golden.js";
import { LocalPress } from "./local_press.js";
import type { OpenOptions, Press, Progress } from "./press.js";
import { readSafetensors, type Tensors } from "./safetensors.js";
import { Tokenizer } from "./tokenizer.js";

/**
 * Open a folder that `vecpress export PRESS --to web` wrote.
 *
 * @param url - The folder with the manifest.json; relative to the page.
 * @param options - See {@link OpenOptions}.
 * @throws DownloadError, DamagedError, VersionError, UnsupportedError or GoldenError.
 */
export async function open(url: string | URL, options: OpenOptions = {}): Promise<Press> {
  const base = folderUrl(url);
  const tell = options.onProgress ?? silent;
  const folder = await Folder.open(base, tell);
  const runtimes = runtimeUrl(base, options);
  let press = await prepare(folder, runtimes, options, tell);
  try {
    await verify(press, options);
  } catch (error) {
    if (press.device !== "webgpu") throw error;
    press.close(); // a driver may compute something else; wasm does not
    press = await prepare(folder, runtimes, { ...options, webgpu: false }, tell);
    await verify(press, options);
  }
  tell({ stage: "ready", file: "", loaded: 1, total: 1 });
  return press;
}

async function verify(press: LocalPress, options: OpenOptions): Promise<void> {
  if (options.verify === false) return;
  const { golden, press: facts } = press.manifest;
  await checkGolden(golden, facts.dim, (text, role) => press.embed(text, role));
}

/** Fetch everything at once, and put it together as it comes. */
async function prepare(
  folder: Folder,
  runtimes: URL,
  options: OpenOptions,
  tell: (progress: Progress) => void,
): Promise<LocalPress> {
  const { manifest } = folder;
  const tensors = folder.get(manifest.tensors).then((b) => readSafetensors(b, manifest.tensors));
  const tokenizers = Promise.all(
    manifest.inputs.map(async (input) => new Tokenizer(await folder.get(input.tokenizer), input)),
  );
  const encoder: Promise<Encoder> =
    manifest.engine === "onnx"
      ? import("./onnx.js").then((m) =>
          m.OnnxEncoder.open(folder, runtimes, options.webgpu ?? true),
        )
      : makeStatic(folder, tensors, tokenizers);
  const documents = Documents.open(folder, tensors);
  const parts = await Promise.all([tokenizers, encoder, documents]);
  tell({ stage: "prepare", file: "", loaded: 1, total: 1 });
  return new LocalPress(folder, ...parts);
}

async function makeStatic(
  folder: Folder,
  tensors: Promise<Tensors>,
  tokenizers: Promise<Tokenizer[]>,
): Promise<Encoder> {
  return new StaticEncoder(folder.manifest, await tensors, await tokenizers);
}

/** Give a folder's whole address, with a slash at its end. */
export function folderUrl(url: string | URL): URL {
  try {
    const whole = new URL(url, globalThis.location?.href);
    if (!whole.pathname.endsWith("/")) whole.pathname += "/";
    return whole;
  } catch {
    throw new InputError(`${JSON.stringify(url)} is not the address of a folder`);
  }
}

/** Give the folder of the runtime's binaries: what was asked for, or the one beside the data. */
export function runtimeUrl(base: URL, options: OpenOptions): URL {
  return options.runtime === undefined ? new URL("../runtime/", base) : folderUrl(options.runtime);
}

function silent(): void {}
