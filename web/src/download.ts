import { type Bytes, gunzip, isGzip, sha256 } from "./bytes.js";
import { DamagedError, DownloadError } from "./errors.js";
import type { FileFacts } from "./manifest.js";

/** Told how many bytes have come, and how many there are if the server says so. */
export type Meter = (loaded: number, total: number) => void;

/** A file as it came, unpacked, and how many bytes came. */
export interface Downloaded {
  bytes: Bytes;
  received: number;
}

/**
 * Fetch a file, check that it is what was written, and unpack it.
 *
 * A server may have unpacked it already (`Content-Encoding: gzip`); then only its length is checked.
 *
 * @param url - Where it lies.
 * @param facts - What is known of it; null if nothing is.
 * @param meter - Told whenever a piece has come.
 */
export async function download(
  url: URL,
  facts: FileFacts | null,
  meter: Meter,
): Promise<Downloaded> {
  const { bytes: raw, received } = await receive(url, meter);
  if (facts !== null) await check(url, raw, facts);
  if (!isGzip(raw)) return { bytes: raw, received };
  try {
    const bytes = await gunzip(raw);
    return { bytes, received };
  } catch {
    throw new DamagedError(`${url} is damaged: it cannot be unpacked`);
  }
}

async function receive(url: URL, meter: Meter): Promise<Downloaded> {
  const response = await request(url);
  const total = Number(response.headers.get("content-length") ?? 0);
  const pieces: Bytes[] = [];
  let loaded = 0;
  try {
    for (const reader = response.body!.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) {
        // what a server packed for the way counts as it came, which only its header still tells
        const packed = total > 0 && response.headers.has("content-encoding");
        return { bytes: joinPieces(pieces, loaded), received: packed ? total : loaded };
      }
      pieces.push(value);
      loaded += value.length;
      meter(loaded, total);
    }
  } catch (error) {
    throw new DownloadError(`the download of ${url} broke off after ${loaded} bytes: ${error}`);
  }
}

async function request(url: URL): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, url.search ? {} : { cache: "no-cache" }); // newest, if not named by content
  } catch (error) {
    throw new DownloadError(`${url} cannot be reached: ${error}`);
  }
  if (response.ok && response.body !== null) return response;
  throw new DownloadError(
    `${url} cannot be had: the server answers ${response.status}; was the whole folder that ` +
      "`vecpress export --to web` wrote copied there?",
  );
}

function joinPieces(pieces: Bytes[], length: number): Bytes {
  const joined = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

async function check(url: URL, raw: Bytes, facts: FileFacts): Promise<void> {
  const unpackedByServer = facts.unpacked !== undefined && !isGzip(raw);
  const wanted = unpackedByServer ? facts.unpacked : facts.bytes;
  const again = "export the folder again, or copy it again";
  if (raw.length !== wanted) {
    throw new DamagedError(`${url} is damaged: ${raw.length} bytes, not ${wanted}; ${again}`);
  }
  if (unpackedByServer) return;
  const digest = await sha256(raw);
  if (digest !== null && digest !== facts.sha256) {
    throw new DamagedError(`${url} is damaged: its checksum is not the manifest's; ${again}`);
  }
}
