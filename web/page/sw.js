// Keeps the page and one version of its data for offline use. BUILD, FILES and FOR_GRAPHS are put
// before this by offline_plugin.ts; the page says which data it has read (offline.ts).

const SCOPE = self.registration.scope;
const OWN = `vecpress ${SCOPE} `; // other folders of this host have caches of their own
const MANIFEST = new URL("data/manifest.json", SCOPE).href;
const PATIENCE = 4000; // ms; a network that takes longer counts as none

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("message", (event) => {
  const [port] = event.ports;
  const done = keep(event.data).then(
    () => port?.postMessage({ kept: true }),
    (error) => port?.postMessage({ kept: false, reason: String(error) }),
  );
  event.waitUntil(done);
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || !url.href.startsWith(SCOPE)) return;
  const isPage = url.origin + url.pathname === SCOPE || url.pathname.endsWith("/index.html");
  if (isPage) event.respondWith(newest(request, SCOPE));
  else if (url.origin + url.pathname === MANIFEST) event.respondWith(newest(request, MANIFEST));
  else event.respondWith(kept(request).then((found) => found ?? fetch(request)));
});

/** The network's answer, or what was kept where there is none in time. */
async function newest(request, name) {
  const answer = fetch(request);
  answer.catch(() => undefined); // it may fail after the kept one was given
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));
  try {
    const first = await Promise.race([answer, late]);
    if (first) return first;
  } catch {
    // No network: what was kept, below.
  }
  return (await kept(name)) ?? answer;
}

async function kept(request) {
  for (const name of await own()) {
    const found = await (await caches.open(name)).match(request);
    if (found) return found;
  }
  return undefined;
}

const own = async () => (await caches.keys()).filter((name) => name.startsWith(OWN));

/** Keep all that this version of page and data consists of, then forget every other version. */
async function keep({ key, manifest, graphs, files }) {
  const name = `${OWN}${BUILD} ${key}`;
  const cache = await caches.open(name);
  for (const file of [...FILES, ...(graphs ? FOR_GRAPHS : []), ...files]) {
    const url = new URL(file, SCOPE).href;
    if (await cache.match(url)) continue;
    const lasting = url.includes("?v=") || file.startsWith("assets/"); // named by their contents
    const found = lasting ? await kept(url) : undefined;
    const response = found ?? (await fetch(url, { cache: lasting ? "default" : "no-cache" }));
    if (!response.ok) throw new Error(`${file}: ${response.status} ${response.statusText}`);
    await cache.put(url, response);
  }
  const headers = { "Content-Type": "application/json" };
  await cache.put(MANIFEST, new Response(manifest, { headers })); // last: it makes the rest count
  for (const other of await own()) if (other !== name) await caches.delete(other);
}
