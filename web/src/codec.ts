import type { CodecShape, ProductShape, ScalarShape } from "./manifest.js";
import type { Tensors } from "./safetensors.js";
import { timesSquare } from "./vectors.js";

/**
 * What codes mean, as numbers to be looked up.
 *
 * A code is `numbers` numbers of `bits` bits each, lowest bits first. Whatever is asked of a code is
 * a sum over its numbers, so an answer is a table of `numbers` rows with `2 ** bits` entries each.
 */
export interface Codec {
  readonly numbers: number;
  readonly bits: number;
  readonly codeBytes: number;
  /** Give what each number adds to the inner product of a query with a decoded code. */
  products(query: Float32Array): Float32Array;
  /** Give what each number adds to the squared length of a decoded code. */
  squares(): Float32Array;
}

/** Read a codec; its arrays are called `codec.levels`, or `fine.levels` for the finer one. */
export function readCodec(shape: CodecShape, tensors: Tensors, name: "codec" | "fine"): Codec {
  return shape.kind === "scalar"
    ? new ScalarCodec(shape, tensors, name)
    : new ProductCodec(shape, tensors, name);
}

/** A level for each cell of each dimension. */
class ScalarCodec implements Codec {
  readonly numbers: number;
  readonly bits: number;
  readonly codeBytes: number;
  readonly #levels: Float32Array;
  readonly #rotation: Float32Array | null;

  constructor(shape: ScalarShape, tensors: Tensors, name: string) {
    this.numbers = shape.dim;
    this.bits = shape.bits;
    this.codeBytes = Math.ceil((shape.dim * shape.bits) / 8);
    this.#levels = tensors.floats(`${name}.levels`, [shape.dim, 2 ** shape.bits]);
    this.#rotation = readRotation(shape, tensors, name);
  }

  products(query: Float32Array): Float32Array {
    const turned = rotate(query, this.#rotation);
    const cells = 2 ** this.bits;
    return this.#levels.map((level, i) => level * turned[Math.floor(i / cells)]!);
  }

  squares(): Float32Array {
    return this.#levels.map((level) => level * level);
  }
}

/** A centroid for each number of each group of dimensions. */
class ProductCodec implements Codec {
  readonly numbers: number;
  readonly bits: number;
  readonly codeBytes: number;
  readonly #width: number;
  readonly #centroids: Float32Array;
  readonly #order: Int32Array;
  readonly #rotation: Float32Array | null;

  constructor(shape: ProductShape, tensors: Tensors, name: string) {
    const { groups, bits, width } = shape;
    this.numbers = groups;
    this.bits = bits;
    this.codeBytes = Math.ceil((groups * bits) / 8);
    this.#width = width;
    this.#centroids = tensors.floats(`${name}.centroids`, [groups, 2 ** bits, width]);
    this.#order = tensors.integers(`${name}.order`, [groups * width]);
    this.#rotation = readRotation(shape, tensors, name);
  }

  products(query: Float32Array): Float32Array {
    const turned = rotate(query, this.#rotation);
    const placed = Float32Array.from(this.#order, (from) => (from < 0 ? 0 : turned[from]!));
    const perGroup = this.#width * 2 ** this.bits;
    return this.#sums((value, i, j) => value * placed[Math.floor(i / perGroup) * this.#width + j]!);
  }

  squares(): Float32Array {
    return this.#sums((value) => value * value);
  }

  /** Add up `term` over the coordinates of each centroid. */
  #sums(term: (value: number, i: number, j: number) => number): Float32Array {
    const made = new Float32Array(this.numbers * 2 ** this.bits);
    for (let at = 0; at < made.length; at++) {
      let sum = 0;
      for (let j = 0; j < this.#width; j++) {
        const i = at * this.#width + j;
        sum += term(this.#centroids[i]!, i, j);
      }
      made[at] = sum;
    }
    return made;
  }
}

function readRotation(shape: CodecShape, tensors: Tensors, name: string): Float32Array | null {
  return shape.rotation ? tensors.floats(`${name}.rotation`, [shape.dim, shape.dim]) : null;
}

function rotate(query: Float32Array, rotation: Float32Array | null): Float32Array {
  return rotation === null ? query : timesSquare(query, rotation);
}
