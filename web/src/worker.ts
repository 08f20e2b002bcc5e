/** Runs in a Web Worker: opens one press, and answers requests in the order they came. */
import type { Facts, Reply, Request } from "./messages.js";
import { open } from "./open.js";
import type { Press } from "./press.js";

type Work = Exclude<Request, { ask: "forget" }>;

const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
const waiting: Work[] = [];
let press: Press | null = null;
let busy = false;

scope.onmessage = ({ data }: MessageEvent<Request>) => {
  if (data.ask === "forget") {
    const at = waiting.findIndex((request) => request.id === data.id);
    if (at >= 0) waiting.splice(at, 1);
    return;
  }
  waiting.push(data);
  if (!busy) void work();
};

/** Answer until nothing waits. */
async function work(): Promise<void> {
  busy = true;
  for (await arrivals(); waiting.length > 0; await arrivals()) {
    await answer(waiting.shift()!);
  }
  busy = false;
}

/** Let messages in that came meanwhile: one of them may say that the next is not needed. */
function arrivals(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

async function answer(request: Work): Promise<void> {
  const { id } = request;
  try {
    const done = await compute(request);
    const moved = Array.isArray(done) ? done.map((row) => row.buffer as ArrayBuffer) : [];
    reply({ id, done }, moved);
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    reply({ id, failed: { name, message } });
  }
}

async function compute(request: Work): Promise<Extract<Reply, { done: unknown }>["done"]> {
  if (request.ask === "open") return start(request);
  if (request.ask === "search") return press!.search(request.text, { k: request.k });
  return press!.encode(request.texts, request.options);
}

async function start({ id, url, options }: Extract<Request, { ask: "open" }>): Promise<Facts> {
  press = await open(url, { ...options, onProgress: (progress) => reply({ id, progress }) });
  const { manifest, bytes, device } = press;
  return { manifest, bytes, device };
}

function reply(message: Reply, moved: ArrayBuffer[] = []): void {
  scope.postMessage(message, moved);
}
