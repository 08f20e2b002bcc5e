import { asText, type Bytes } from "./bytes.js";
import { download } from "./download.js";
import { DamagedError, VersionError } from "./errors.js";
import { FORMAT_VERSION, type Manifest } from "./manifest.js";
import type { Progress } from "./press.js";

/** A folder that `vecpress export --to web` wrote, as it lies on a server. */
export class Folder {
  readonly manifest: Manifest;
  /** Bytes downloaded, by file. */
  readonly bytes: Record<string, number> = {};
  readonly #url: URL;
  readonly #tell: (progress: Progress) => void;
  readonly #loaded = new Map<string, number>();
  readonly #totals = new Map<string, number>();

  private constructor(url: URL, manifest: Manifest, tell: (progress: Progress) => void) {
    this.#url = url;
    this.manifest = manifest;
    this.#tell = tell;
  }

  /** Read the manifest; the files that will be needed count as still to come. */
  static async open(url: URL, tell: (progress: Progress) => void): Promise<Folder> {
    const place = new URL("manifest.json", url);
    const { bytes, received } = await download(place, null, () => {});
    const folder = new Folder(url, readManifest(place, bytes), tell);
    folder.bytes["manifest.json"] = received;
    for (const [name, facts] of Object.entries(folder.manifest.files)) {
      folder.#totals.set(name, facts.bytes);
    }
    return folder;
  }

  /** Fetch a file of the folder, unpacked. */
  async get(name: string): Promise<Bytes> {
    const facts = this.manifest.files[name];
    if (facts === undefined) {
      throw new DamagedError(`the manifest of ${this.#url} does not list "${name}"`);
    }
    const url = new URL(name, this.#url);
    url.search = `v=${facts.sha256.slice(0, 16)}`; // no cache then gives an older export's file
    return this.#fetch(name, url, facts.bytes);
  }

  /** Fetch a file that is not the folder's own, such as the runtime's. */
  async getOther(name: string, url: URL): Promise<Bytes> {
    return this.#fetch(name, url, null);
  }

  async #fetch(name: string, url: URL, known: number | null): Promise<Bytes> {
    const { bytes, received } = await download(
      url,
      this.manifest.files[name] ?? null,
      (loaded, total) => this.#count(name, loaded, known ?? total),
    );
    this.#count(name, known ?? received, known ?? received);
    this.bytes[name] = received;
    return bytes;
  }

  /** A server that unpacks sends more bytes than the file has: no more than these are counted. */
  #count(name: string, loaded: number, total: number): void {
    this.#totals.set(name, total);
    this.#loaded.set(name, total > 0 ? Math.min(loaded, total) : loaded);
    const [sum, all] = [this.#loaded, this.#totals].map((m) => [...m.values()].reduce(add, 0));
    this.#tell({ stage: "download", file: name, loaded: sum!, total: Math.max(sum!, all!) });
  }
}

function add(a: number, b: number): number {
  return a + b;
}

function readManifest(url: URL, bytes: Bytes): Manifest {
  let read: Partial<Manifest> | null;
  try {
    read = JSON.parse(asText(bytes)) as Partial<Manifest> | null;
  } catch {
    throw new DamagedError(`${url} is damaged: it is not JSON`);
  }
  if (read?.kind !== "web") {
    throw new DamagedError(`${url} is not a manifest that \`vecpress export --to web\` wrote`);
  }
  if (read.format_version !== FORMAT_VERSION) {
    throw new VersionError(
      `${url} has format version ${read.format_version}, and this reader knows ${FORMAT_VERSION}: ` +
        "export the folder again, so that page and data are of one release",
    );
  }
  return read as Manifest;
}
