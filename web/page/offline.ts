import type { Press } from "../src/index";

/** Have the service worker keep page and data; say whether both can now be used offline. */
export async function keepOffline(press: Press, tell: (kept: boolean) => void): Promise<void> {
  if (!("serviceWorker" in navigator) || !isSecureContext || import.meta.env.DEV) return;
  const version = await versionOf(press);
  const keep = async (worker: ServiceWorker | null): Promise<void> => {
    if (worker && (await activated(worker))) tell(await ask(worker, version));
  };
  try {
    const registration = await navigator.serviceWorker.register("./sw.js");
    registration.addEventListener("updatefound", () => void keep(registration.installing));
    await keep(registration.installing ?? registration.waiting ?? registration.active);
  } catch {
    tell(false); // storage is forbidden or full: the page works, online
  }
}

interface Version {
  key: string;
  manifest: string;
  /** Whether the page computes graphs, for which it has parts of its own. */
  graphs: boolean;
  files: string[];
}

async function versionOf(press: Press): Promise<Version> {
  const manifest = JSON.stringify(press.manifest);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(manifest));
  const key = [...new Uint8Array(digest).slice(0, 8)]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  const { engine, files } = press.manifest;
  const urls = Object.keys(press.bytes)
    .filter((name) => name !== "manifest.json") // which goes along
    .map((name) => {
      const facts = files[name];
      return facts ? `data/${name}?v=${facts.sha256.slice(0, 16)}` : `runtime/${name}`;
    });
  return { key, manifest, graphs: engine === "onnx", files: urls };
}

function activated(worker: ServiceWorker): Promise<boolean> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (worker.state === "activated") resolve(true);
      else if (worker.state === "redundant") resolve(false);
    };
    worker.addEventListener("statechange", look);
    look();
  });
}

function ask(worker: ServiceWorker, version: Version): Promise<boolean> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(Boolean(data?.kept));
    worker.postMessage(version, [port2]);
  });
}
