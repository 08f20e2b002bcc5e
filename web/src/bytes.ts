/** Bytes that this library owns. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Say whether bytes begin as gzip does. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length > 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Unpack gzip; its own checksum is compared on the way. */
export async function gunzip(bytes: Bytes): Promise<Bytes> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Give the SHA-256 in hexadecimal; null where the browser has none, as without https. */
export async function sha256(bytes: Bytes): Promise<string | null> {
  if (globalThis.crypto?.subtle === undefined) return null;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Read base64. */
export function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** Read UTF-8. */
export function asText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Read float32 as they are stored, little-endian, wherever they begin. */
export function asFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}
