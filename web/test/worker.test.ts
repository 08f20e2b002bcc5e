import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { InputError } from "../src/errors";
import { open, openInWorker } from "../src/index";
import type { Press, Progress } from "../src/press";
import { serve, type Served } from "./helpers";

type Listener = ((event: { data: unknown }) => void) | null;

/** Runs worker.ts in this very thread: messages are cloned, and come later, one after the other. */
class FakeWorker {
  static made: FakeWorker[] = [];
  onmessage: Listener = null;
  onerror: ((event: { message: string }) => void) | null = null;
  asked: { ask: string }[] = [];
  replies = 0;
  terminated = false;
  readonly #sent: unknown[] = [];
  readonly #scope: { onmessage: Listener };
  readonly #ready: Promise<unknown>;

  constructor(readonly url: URL) {
    FakeWorker.made.push(this);
    this.#scope = globalThis as unknown as { onmessage: Listener };
    vi.stubGlobal("postMessage", (data: unknown, transfer: ArrayBuffer[]) => {
      const sent = structuredClone(data, { transfer });
      this.replies++;
      setTimeout(() => this.terminated || this.onmessage?.({ data: sent }));
    });
    vi.resetModules();
    this.#ready = import("../src/worker");
  }

  postMessage(data: { ask: string }): void {
    this.asked.push(data);
    if (this.#sent.push(structuredClone(data)) === 1) setTimeout(() => this.#deliver());
  }

  /** Let the worker do between messages whatever needs no other event. */
  async #deliver(): Promise<void> {
    await this.#ready;
    while (this.#sent.length > 0) {
      this.#scope.onmessage!({ data: this.#sent.shift() });
      for (let i = 0; i < 100; i++) await null;
    }
  }

  terminate(): void {
    this.terminated = true;
  }
}

let server: Served;
let press: Press;

beforeEach(async () => {
  vi.stubGlobal("Worker", FakeWorker);
  server = await serve("static");
  press = await openInWorker(server.url);
});

afterEach(async () => {
  press.close();
  vi.unstubAllGlobals();
  await server.close();
});

test("a worker gives what open gives", async () => {
  const here = await open(server.url);
  expect((await press.search("red cat", { k: 3 })).hits).toEqual(
    (await here.search("red cat", { k: 3 })).hits,
  );
  const options = { role: "query" } as const;
  expect(await press.encode(["red cat", ""], options)).toEqual(
    await here.encode(["red cat", ""], options),
  );
  expect(press.manifest).toEqual(here.manifest);
  expect(press.bytes).toEqual(here.bytes);
  expect(press.device).toBe("javascript");
});

test("progress comes from the worker", async () => {
  const told: Progress[] = [];
  const other = await openInWorker(server.url, { onProgress: (progress) => told.push(progress) });
  expect(told.at(0)!.stage).toBe("download");
  expect(told.at(-1)!.stage).toBe("ready");
  other.close();
});

test("errors keep their kind and text", async () => {
  await expect(press.search("cat", { k: 0 })).rejects.toMatchObject({
    name: "InputError",
    message: "k must be a whole number of at least 1, got 0",
  });
  await expect(press.search("cat", { k: 0 })).rejects.toBeInstanceOf(InputError);
  const opening = openInWorker(`${server.url}nowhere/`);
  await expect(opening).rejects.toMatchObject({ name: "DownloadError" });
  await expect(opening).rejects.toThrow(/nowhere\/manifest.json cannot be had/);
  expect(FakeWorker.made.at(-1)!.terminated).toBe(true);
});

describe("searches that nobody waits for", () => {
  test("are not run, and the others are answered in order", async () => {
    const worker = FakeWorker.made.at(-1)!;
    const before = worker.replies;
    const answered: string[] = [];
    const typed = ["r", "re", "red", "red ", "red cat"];
    const controllers = typed.map(() => new AbortController());
    const searches = typed.map((text, i) =>
      press.search(text, { signal: controllers[i]!.signal }).then(
        () => answered.push(text),
        (error: Error) => answered.push(`${text}: ${error.name}`),
      ),
    );
    controllers.slice(1, 4).forEach((controller) => controller.abort());
    await Promise.all(searches);
    expect(answered.slice(0, 3)).toEqual(["re: AbortError", "red: AbortError", "red : AbortError"]);
    expect(answered.slice(3)).toEqual(["r", "red cat"]);
    expect(worker.replies - before).toBe(2);
  });

  test("are not even sent if they were given up before", async () => {
    const sent = FakeWorker.made.at(-1)!.asked.length;
    const searching = press.search("cat", { signal: AbortSignal.abort() });
    await expect(searching).rejects.toMatchObject({ name: "AbortError" });
    expect(FakeWorker.made.at(-1)!.asked.length).toBe(sent);
  });

  test("a signal aborted after the answer changes nothing", async () => {
    const controller = new AbortController();
    await press.search("cat", { signal: controller.signal });
    const sent = FakeWorker.made.at(-1)!.asked.length;
    controller.abort();
    expect(FakeWorker.made.at(-1)!.asked.length).toBe(sent);
  });
});

test("closing ends the worker and whoever waits", async () => {
  const searching = press.search("cat");
  press.close();
  await expect(searching).rejects.toThrow("no answer: close was called");
  await expect(press.search("cat")).rejects.toThrow(
    "this press was closed (close was called): open it again",
  );
  expect(FakeWorker.made.at(-1)!.terminated).toBe(true);
});

test("a worker that fails is no endless wait", async () => {
  const searching = press.search("cat");
  FakeWorker.made.at(-1)!.onerror!({ message: "" });
  await expect(searching).rejects.toThrow("no answer: its worker failed");
});

test("a worker whose script is not there is a download that failed", async () => {
  class Missing {
    onerror: ((event: { message: string }) => void) | null = null;
    postMessage() {
      queueMicrotask(() => this.onerror!({ message: "" }));
    }
    terminate() {}
  }
  vi.stubGlobal("Worker", Missing);
  const opening = openInWorker(server.url);
  await expect(opening).rejects.toThrow("the worker's script cannot be had, or not be run");
  await expect(opening).rejects.toMatchObject({ name: "DownloadError" });
});

test("without workers the way out is named", async () => {
  vi.stubGlobal("Worker", undefined);
  await expect(openInWorker(server.url)).rejects.toThrow(
    "there are no Web Workers here: use open instead of openInWorker",
  );
});
