import { asText } from "./bytes.js";
import { readCodec } from "./codec.js";
import { DamagedError } from "./errors.js";
import type { Folder } from "./folder.js";
import type { Manifest } from "./manifest.js";
import type { Hit } from "./press.js";
import { Rescorer } from "./rescore.js";
import type { Tensors } from "./safetensors.js";
import { makeScanner, type Scanner } from "./scan.js";

interface Texts {
  ids: string[];
  texts: string[];
}

/** Everything that is searched: the codes, and what the documents are called. */
export class Documents {
  readonly #scanner: Scanner;
  readonly #rescorer: Rescorer | null;
  readonly #depth: number;
  readonly #texts: Texts;

  private constructor(manifest: Manifest, tensors: Tensors, files: DocumentFiles) {
    const codec = readCodec(manifest.codec, tensors, "codec");
    this.#scanner = makeScanner(codec, checked(files.codes, codec.codeBytes, manifest, "codes"));
    this.#rescorer = null;
    if (manifest.fine !== null && files.fine !== null) {
      const fine = readCodec(manifest.fine, tensors, "fine");
      const codes = checked(files.fine, fine.codeBytes, manifest, "fine");
      this.#rescorer = new Rescorer(fine, codes);
    }
    this.#depth = manifest.rescore;
    this.#texts = readTexts(files.texts, manifest);
  }

  /** Fetch the files, and prepare them for searching. */
  static async open(folder: Folder, tensors: Promise<Tensors>): Promise<Documents> {
    const { codes, fine, texts } = folder.manifest.documents;
    const [codeBytes, fineBytes, textBytes] = await Promise.all([
      folder.get(codes),
      fine === null ? null : folder.get(fine),
      folder.get(texts),
    ]);
    const files = { codes: codeBytes, fine: fineBytes, texts: textBytes };
    return new Documents(folder.manifest, await tensors, files);
  }

  /** Find the documents nearest to an embedding, at most `k`. */
  search(query: Float32Array, k: number): Hit[] {
    const depth = this.#rescorer === null ? k : Math.max(k, k * this.#depth);
    let found = this.#scanner.search(query, depth);
    if (this.#rescorer !== null) found = this.#rescorer.order(found.rows, query, k);
    return found.rows.map((row, i) => ({
      id: this.#texts.ids[row]!,
      score: found.scores[i]!,
      row,
      text: this.#texts.texts[row]!,
    }));
  }
}

interface DocumentFiles {
  codes: Uint8Array;
  fine: Uint8Array | null;
  texts: Uint8Array;
}

function checked(
  codes: Uint8Array,
  codeBytes: number,
  manifest: Manifest,
  which: "codes" | "fine",
): Uint8Array {
  const { count } = manifest.documents;
  if (codes.length === count * codeBytes) return codes;
  throw new DamagedError(
    `${manifest.documents[which]} must hold ${count} codes of ${codeBytes} bytes, got ` +
      `${codes.length} bytes`,
  );
}

function readTexts(bytes: Uint8Array, manifest: Manifest): Texts {
  const { texts: name, count } = manifest.documents;
  try {
    const read = JSON.parse(asText(bytes)) as Texts;
    if (read.ids.length === count && read.texts.length === count) return read;
  } catch {
    // said below
  }
  throw new DamagedError(`${name} must hold the ids and texts of ${count} documents`);
}
