/** Runs in the browser: the two ways to scan, side by side, on codes that look random. */
import { ByteRows } from "../src/byte_rows";
import type { Codec } from "../src/codec";
import { PlainScanner, type Scanner } from "../src/scan";
import { SimdScanner } from "../src/simd_scan";

const CODE_BYTES = 64;
const QUERIES = 50;
const HITS = 10;

/** What came out: the best of all queries, in milliseconds, as exact as the browser's clock. */
export interface Measured {
  rows: number;
  bits: number;
  code_bytes: number;
  queries: number;
  load: number;
  plain: number;
  simd: number;
  same: boolean;
}

/** Levels of equal distance, a little different in each dimension. */
class Levels implements Codec {
  readonly codeBytes = CODE_BYTES;
  readonly numbers: number;
  readonly #levels: Float32Array;

  constructor(readonly bits: number) {
    this.numbers = (CODE_BYTES * 8) / bits;
    const cells = 2 ** bits;
    this.#levels = Float32Array.from(
      { length: this.numbers * cells },
      (_, i) => ((i % cells) + 0.5) / cells - 0.5 + Math.sin(i) / 100,
    );
  }

  products(query: Float32Array): Float32Array {
    return this.#levels.map((level, i) => level * query[i >> this.bits]!);
  }

  squares(): Float32Array {
    return this.#levels.map((level) => level * level);
  }
}

/** Search the same codes both ways, in turn. */
export function measure(rows: number, bits: number): Measured {
  const codec = new Levels(bits);
  const codes = new Uint8Array(rows * CODE_BYTES);
  for (let i = 0; i < codes.length; i += 65536) {
    crypto.getRandomValues(codes.subarray(i, i + 65536));
  }
  const byteRows = new ByteRows(codec, codes);
  const plain = new PlainScanner(codec, byteRows);
  const start = performance.now();
  const simd = SimdScanner.make(codec, codes, byteRows)!;
  const load = performance.now() - start;
  const times: { plain: number[]; simd: number[] } = { plain: [], simd: [] };
  let same = true;
  for (let i = 0; i < QUERIES; i++) {
    const query = Float32Array.from({ length: codec.numbers }, () => Math.random() - 0.5);
    const found = [timed(plain, query, times.plain), timed(simd, query, times.simd)];
    same &&= found[0] === found[1];
  }
  const [once, a, b] = [[load], times.plain, times.simd].map(best);
  const told = { rows, bits, code_bytes: CODE_BYTES, queries: QUERIES };
  return { ...told, load: once!, plain: a!, simd: b!, same };
}

function best(times: number[]): number {
  return Math.round(10 * Math.min(...times)) / 10;
}

function timed(scanner: Scanner, query: Float32Array, times: number[]): string {
  const start = performance.now();
  const { rows } = scanner.search(query, HITS);
  times.push(performance.now() - start);
  return rows.join();
}
