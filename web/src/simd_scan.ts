import { type ByteRows, joined } from "./byte_rows.js";
import { fromBase64 } from "./bytes.js";
import type { Codec } from "./codec.js";
import { type Ranking, Top } from "./ranking.js";
import type { Scanner } from "./scan.js";
import program from "./simd_scan.wat";
import { readNumber } from "./tables.js";

const ROWS = 16; // that lie together: a vector holds the same byte of each
const PAGE = 65536; // bytes of WebAssembly's memory
const LOST = 2 ** -20; // more than float32 loses in an entry, as a share of the largest

interface Exports {
  memory: WebAssembly.Memory;
  addUp(codes: number, blocks: number, width: number, tables: number, sums: number): void;
}

/**
 * Scans codes of at most 4 bits a number, 16 rows at once.
 *
 * Half bytes are looked up in tables of 16 whole numbers from 0 to 127, rounded up. So their sum is
 * never below the true one, and the few rows whose sums could be among the best are added up
 * exactly: the ranking is that of {@link PlainScanner}. This is how FAISS's fast scan looks codes up
 * (André et al. 2015), but for the exact end.
 */
export class SimdScanner implements Scanner {
  readonly #codec: Codec;
  readonly #rows: number;
  readonly #width: number;
  readonly #inverse: Float32Array;
  readonly #exports: Exports;
  readonly #codes: Uint8Array;
  readonly #tables: Uint8Array;
  readonly #sums: Uint16Array;

  /** Prepare the scan; null where it cannot be done this way. */
  static make(codec: Codec, codes: Uint8Array, rows: ByteRows): SimdScanner | null {
    if (codec.bits > 4) return null;
    try {
      const module = new WebAssembly.Module(fromBase64(program));
      const { exports } = new WebAssembly.Instance(module);
      return new SimdScanner(codec, codes, rows, exports as unknown as Exports);
    } catch {
      return null; // no SIMD, no WebAssembly, or not so much memory
    }
  }

  private constructor(codec: Codec, codes: Uint8Array, rows: ByteRows, exports: Exports) {
    const halves = Math.ceil(codec.numbers / Math.floor(4 / codec.bits));
    const blocks = Math.ceil(rows.count / ROWS);
    this.#codec = codec;
    this.#rows = rows.count;
    this.#width = Math.ceil(halves / 2);
    this.#exports = exports;
    const sizes = [blocks * ROWS * this.#width, 2 * ROWS * this.#width, 2 * ROWS * blocks] as const;
    exports.memory.grow(Math.ceil((sizes[0] + sizes[1] + sizes[2]) / PAGE));
    const { buffer } = exports.memory;
    this.#codes = new Uint8Array(buffer, 0, sizes[0]);
    this.#tables = new Uint8Array(buffer, sizes[0], sizes[1]);
    this.#sums = new Uint16Array(buffer, sizes[0] + sizes[1], blocks * ROWS);
    this.#inverse = rows.inverseLengths();
    this.#layOut(codec.bits === 3 ? halfBytes(codec, codes) : codes);
  }

  search(query: Float32Array, k: number): Ranking {
    const halves = joined(this.#codec.products(query), this.#codec, 4);
    const { step, base } = this.#roundUp(halves);
    const { byteOffset: tables } = this.#tables;
    const blocks = this.#sums.length / ROWS;
    this.#exports.addUp(0, blocks, this.#width, tables, this.#sums.byteOffset);
    const exact = pairs(halves);
    const top = new Top(Math.min(k, this.#rows));
    for (let row = 0; row < this.#rows; row++) {
      const inverse = this.#inverse[row]!;
      if ((this.#sums[row]! * step + base) * inverse <= top.least) continue;
      top.offer(row, Math.fround(this.#sum(row, exact)) * inverse);
    }
    return top.ranking();
  }

  /** Put byte i of 16 rows side by side. */
  #layOut(codes: Uint8Array): void {
    const width = this.#width;
    for (let row = 0, from = 0; row < this.#rows; row++) {
      let to = Math.floor(row / ROWS) * ROWS * width + (row % ROWS);
      for (let i = 0; i < width; i++, to += ROWS) this.#codes[to] = codes[from++]!;
    }
  }

  /** Write entries as whole numbers; a sum of them times `step`, plus `base`, is no less than theirs. */
  #roundUp(entries: Float32Array): { step: number; base: number } {
    const halves = entries.length / 16;
    const lows = new Float64Array(halves);
    let [range, base, largest] = [0, 0, 0];
    for (let half = 0; half < halves; half++) {
      const some = entries.subarray(half * 16, half * 16 + 16);
      const [low, high] = [Math.min(...some), Math.max(...some)];
      lows[half] = low;
      base += low;
      range = Math.max(range, high - low);
      largest = Math.max(largest, -low, high);
    }
    const most = Math.min(127, Math.floor(65535 / halves)); // so that 16 bits hold any sum
    const step = range / most || 1;
    for (let i = 0; i < entries.length; i++) {
      this.#tables[i] = Math.min(most, Math.ceil((entries[i]! - lows[i >> 4]!) / step));
    }
    return { step, base: base + halves * largest * LOST };
  }

  #sum(row: number, table: Float32Array): number {
    let at = Math.floor(row / ROWS) * ROWS * this.#width + (row % ROWS);
    let sum = 0;
    for (let i = 0; i < table.length; i += 256, at += ROWS) sum += table[i + this.#codes[at]!]!;
    return sum;
  }
}

/** Join the tables of the two halves of each byte. */
function pairs(halves: Float32Array): Float32Array {
  const bytes = Math.ceil(halves.length / 32);
  const table = new Float32Array(bytes * 256);
  for (let i = 0; i < table.length; i++) {
    const start = (i >> 8) * 32;
    table[i] = halves[start + (i & 15)]! + (halves[start + 16 + ((i >> 4) & 15)] ?? 0);
  }
  return table;
}

/** Give each number half a byte. */
function halfBytes(codec: Codec, codes: Uint8Array): Uint8Array {
  const { numbers, bits, codeBytes } = codec;
  const width = Math.ceil(numbers / 2);
  const count = codes.length / codeBytes;
  const made = new Uint8Array(count * width);
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < numbers; i++) {
      const number = readNumber(codes, row * codeBytes, i, bits);
      made[row * width + (i >> 1)]! |= number << (4 * (i & 1));
    }
  }
  return made;
}
