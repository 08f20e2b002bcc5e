import type { Codec } from "./codec.js";
import { readNumber } from "./tables.js";

/**
 * Codes as rows of bytes, each of which can be looked up by itself.
 *
 * Where numbers share bytes evenly these are the codes as they are; else each number gets a byte.
 */
export class ByteRows {
  readonly count: number;
  /** Bytes of a row. */
  readonly width: number;
  readonly bytes: Uint8Array;
  readonly #codec: Codec;

  constructor(codec: Codec, codes: Uint8Array) {
    const whole = 8 % codec.bits === 0;
    this.count = codes.length / codec.codeBytes;
    this.width = whole ? codec.codeBytes : codec.numbers;
    this.bytes = whole ? codes : unpack(codes, codec);
    this.#codec = codec;
  }

  /** Give what each byte adds to a sum, from what each number adds: as many entries per byte. */
  table(entries: Float32Array): Float32Array {
    return 8 % this.#codec.bits === 0 ? joined(entries, this.#codec, 8) : entries;
  }

  /** Add up, for each row, the entries of its numbers. */
  addUp(entries: Float32Array, sums: Float32Array = new Float32Array(this.count)): Float32Array {
    const table = this.table(entries);
    addUp(this.bytes, table, table.length / this.width, sums);
    return sums;
  }

  /** Give one over the length of what each row stands for; 0 for zeros. */
  inverseLengths(): Float32Array {
    const squares = this.addUp(this.#codec.squares());
    return squares.map((square) => (square === 0 ? 0 : 1 / Math.sqrt(square)));
  }
}

/** Join the entries of the numbers that share each `size` bits of a code. */
export function joined(entries: Float32Array, codec: Codec, size: 4 | 8): Float32Array {
  const { bits, numbers } = codec;
  const cells = 2 ** bits;
  const perPart = Math.floor(size / bits);
  const parts = Math.ceil(numbers / perPart);
  const table = new Float32Array(parts * 2 ** size);
  for (let number = 0; number < numbers; number++) {
    const shift = (number % perPart) * bits;
    const start = Math.floor(number / perPart) << size;
    for (let value = 0; value < 1 << size; value++) {
      table[start + value]! += entries[number * cells + ((value >> shift) & (cells - 1))]!;
    }
  }
  return table;
}

/** Write the sum of each row's entries; every byte of a row has `cells` of them. */
function addUp(bytes: Uint8Array, table: Float32Array, cells: number, sums: Float32Array): void {
  for (let row = 0, at = 0; row < sums.length; row++) {
    let sum = 0;
    for (let start = 0; start < table.length; start += cells) sum += table[start + bytes[at++]!]!;
    sums[row] = sum;
  }
}

function unpack(codes: Uint8Array, { numbers, bits, codeBytes }: Codec): Uint8Array {
  const count = codes.length / codeBytes;
  const unpacked = new Uint8Array(count * numbers);
  for (let row = 0, at = 0; row < count; row++) {
    for (let i = 0; i < numbers; i++) {
      unpacked[at++] = readNumber(codes, row * codeBytes, i, bits);
    }
  }
  return unpacked;
}
