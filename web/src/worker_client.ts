import { DownloadError, errorNamed, InputError, UnsupportedError } from "./errors.js";
import type { Facts, PlainOptions, Reply, Request } from "./messages.js";
import { folderUrl, runtimeUrl } from "./open.js";
import type { EncodeOptions, OpenOptions, Press, SearchOptions, SearchResult } from "./press.js";

/**
 * Open a folder in a Web Worker, so that a page stays responsive while it searches.
 *
 * Requests are answered in the order they were made. A search whose signal is aborted before its
 * turn comes is never run.
 *
 * @param url - The folder with the manifest.json; relative to the page.
 * @param options - See {@link OpenOptions}.
 * @throws as {@link open} does.
 */
export async function openInWorker(url: string | URL, options: OpenOptions = {}): Promise<Press> {
  const base = folderUrl(url);
  const { onProgress, runtime: _, ...rest } = options;
  const plain: PlainOptions = { ...rest, runtime: runtimeUrl(base, options).href };
  const calls = new Calls(makeWorker(), onProgress ?? (() => {}));
  try {
    const facts = await calls.make<Facts>({ ask: "open", url: base.href, options: plain });
    return new RemotePress(calls, facts);
  } catch (error) {
    calls.end("it could not be opened");
    throw error;
  }
}

function makeWorker(): Worker {
  if (typeof Worker === "undefined") {
    throw new UnsupportedError("there are no Web Workers here: use open instead of openInWorker");
  }
  return new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
}

const NO_WORKER =
  "the worker's script cannot be had, or not be run: was everything copied that lies beside the page's " +
  "own script, and does the server send .js files as text/javascript?";

type Asked = Request extends infer R ? (R extends { id: number } ? Omit<R, "id"> : never) : never;

interface Call {
  resolve(done: unknown): void;
  reject(reason: unknown): void;
}

/** Requests that were sent and not yet answered. */
class Calls {
  readonly #worker: Worker;
  readonly #open = new Map<number, Call>();
  #last = 0;
  #ended: string | null = null;
  #lives = false;

  constructor(worker: Worker, onProgress: NonNullable<OpenOptions["onProgress"]>) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      this.#lives = true;
      if ("progress" in data) onProgress(data.progress);
      else this.#settle(data);
    };
    worker.onerror = (event) => {
      const why = event.message || "its worker failed";
      this.end(why, this.#lives ? undefined : new DownloadError(NO_WORKER));
    };
  }

  /** Send a request; if its signal is aborted, nobody waits for the answer any more. */
  make<Done>(asked: Asked, signal?: AbortSignal): Promise<Done> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#ended !== null) {
      return Promise.reject(
        new InputError(`this press was closed (${this.#ended}): open it again`),
      );
    }
    const id = ++this.#last;
    return new Promise<Done>((resolve, reject) => {
      const forget = () => {
        this.#open.delete(id);
        this.#worker.postMessage({ id, ask: "forget" } satisfies Request);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", forget, { once: true });
      const settled = (settle: (value: never) => void) => (value: unknown) => {
        signal?.removeEventListener("abort", forget);
        settle(value as never);
      };
      this.#open.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.#worker.postMessage({ ...asked, id } as Request);
    });
  }

  /** Stop the worker; whoever still waits is told why. */
  end(why: string, error: Error = new InputError(`no answer: ${why}`)): void {
    this.#ended ??= why;
    this.#worker.terminate();
    for (const call of this.#open.values()) call.reject(error);
    this.#open.clear();
  }

  #settle(reply: Exclude<Reply, { progress: unknown }>): void {
    const call = this.#open.get(reply.id);
    this.#open.delete(reply.id);
    if ("done" in reply) call?.resolve(reply.done);
    else call?.reject(errorNamed(reply.failed.name, reply.failed.message));
  }
}

/** A press whose work is done in a worker. */
class RemotePress implements Press {
  readonly manifest: Press["manifest"];
  readonly bytes: Press["bytes"];
  readonly device: Press["device"];
  readonly #calls: Calls;

  constructor(calls: Calls, facts: Facts) {
    this.#calls = calls;
    this.manifest = facts.manifest;
    this.bytes = facts.bytes;
    this.device = facts.device;
  }

  search(text: string, { k = 10, signal }: SearchOptions = {}): Promise<SearchResult> {
    return this.#calls.make<SearchResult>({ ask: "search", text, k }, signal);
  }

  encode(texts: string[], options: EncodeOptions = {}): Promise<Float32Array[]> {
    return this.#calls.make<Float32Array[]>({ ask: "encode", texts, options });
  }

  close(): void {
    this.#calls.end("close was called");
  }
}
