/** The engine "onnx": a graph from token ids to embeddings, run by onnxruntime-web. */
import type * as Ort from "onnxruntime-web/wasm";

import type { Bytes } from "./bytes.js";
import type { Encoder } from "./encoder.js";
import { DamagedError, UnsupportedError } from "./errors.js";
import type { Folder } from "./folder.js";
import type { Manifest } from "./manifest.js";
import type { Role } from "./press.js";

/** The runtime, and its binary. WebGPU is in another build of it, twice as large. */
interface Runtime {
  provider: "wasm" | "webgpu";
  file: string;
  load(): Promise<typeof Ort>;
}

const WASM: Runtime = {
  provider: "wasm",
  file: "ort-wasm-simd-threaded.wasm.gz",
  load: () => import("onnxruntime-web/wasm"),
};
const WEBGPU: Runtime = {
  provider: "webgpu",
  file: "ort-wasm-simd-threaded.asyncify.wasm.gz",
  load: () => import("onnxruntime-web/webgpu"),
};

/** A graph that gives embeddings. */
export class OnnxEncoder implements Encoder {
  readonly device: "wasm" | "webgpu";
  readonly #ort: typeof Ort;
  readonly #session: Ort.InferenceSession;
  readonly #manifest: Manifest;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    device: Runtime["provider"],
    ort: typeof Ort,
    session: Ort.InferenceSession,
    manifest: Manifest,
  ) {
    this.device = device;
    this.#ort = ort;
    this.#session = session;
    this.#manifest = manifest;
  }

  /**
   * Fetch runtime and graph, and make them ready.
   *
   * @param folder - Where the graph lies.
   * @param runtimes - Folder of the runtime's binaries.
   * @param webgpu - Whether WebGPU may be used.
   */
  static async open(folder: Folder, runtimes: URL, webgpu: boolean): Promise<OnnxEncoder> {
    const { graph, precision } = folder.manifest;
    if (graph === null) throw new DamagedError("the manifest names no graph");
    const model = folder.get(graph);
    if (webgpu && (await canUseGpu(precision))) {
      try {
        return await OnnxEncoder.#start(WEBGPU, folder, runtimes, model);
      } catch {
        // whatever a driver cannot do, wasm can
      }
    }
    return OnnxEncoder.#start(WASM, folder, runtimes, model);
  }

  static async #start(
    runtime: Runtime,
    folder: Folder,
    runtimes: URL,
    model: Promise<Bytes>,
  ): Promise<OnnxEncoder> {
    if (typeof WebAssembly === "undefined") {
      throw new UnsupportedError(
        "this browser has no WebAssembly, which this folder's models need",
      );
    }
    const binary = folder.getOther(runtime.file, new URL(runtime.file, runtimes));
    const [ort, wasm, graph] = await Promise.all([runtime.load(), binary, model]);
    ort.env.wasm.wasmBinary = wasm.buffer;
    ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? 0 : 1; // 0: as many as it sees fit
    ort.env.logLevel = "error";
    const session = await createSession(ort, graph, runtime, folder.manifest);
    return new OnnxEncoder(runtime.provider, ort, session, folder.manifest);
  }

  /** Run the graph on one text, when it is done with those before. */
  embed(ids: number[][], role: Role): Promise<Float32Array> {
    const done = this.#last.then(() => this.#run(ids, role));
    this.#last = done.catch(() => {}); // whoever asked is told
    return done;
  }

  /** Give the session back, when its last run is over: the runtime hangs if it is released before. */
  async close(): Promise<void> {
    await this.#last;
    await this.#session.release();
  }

  async #run(ids: number[][], role: Role): Promise<Float32Array> {
    const feeds: Record<string, Ort.Tensor> = {};
    this.#manifest.inputs.forEach((input, i) => {
      const text = ids[i]!.length > 0 ? ids[i]! : [input.pad_id]; // no axis is empty
      const mask = text.map(() => (ids[i]!.length > 0 ? 1 : 0));
      feeds[input.ids] = this.#row(text);
      feeds[input.mask] = this.#row(mask);
    });
    const { role_input } = this.#manifest;
    if (role_input !== null) feeds[role_input] = this.#integers([role === "query" ? 1 : 0], []);
    const name = this.#session.outputNames[0]!;
    const { [name]: output } = await this.#session.run(feeds, [name]);
    return (output!.data as Float32Array).slice();
  }

  #row(values: number[]): Ort.Tensor {
    return this.#integers(values, [1, values.length]);
  }

  #integers(values: number[], shape: number[]): Ort.Tensor {
    return new this.#ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
  }
}

async function createSession(
  ort: typeof Ort,
  graph: Bytes,
  runtime: Runtime,
  manifest: Manifest,
): Promise<Ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(graph, {
      executionProviders: [runtime.provider],
      graphOptimizationLevel: "all",
      logSeverityLevel: 3, // errors
    });
  } catch (error) {
    throw new UnsupportedError(`${manifest.graph} cannot be run by this browser: ${error}`);
  }
}

interface Gpu {
  requestAdapter(): Promise<{ features: ReadonlySet<string> } | null>;
}

/** Say whether there is a WebGPU that can compute what the graph holds. */
async function canUseGpu(precision: Manifest["precision"]): Promise<boolean> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: Gpu };
  if (gpu === undefined || precision === "int8") return false;
  try {
    const adapter = await gpu.requestAdapter();
    return adapter !== null && (precision !== "float16" || adapter.features.has("shader-f16"));
  } catch {
    return false;
  }
}
