import { asText } from "./bytes.js";
import { DamagedError } from "./errors.js";

/** An array of a safetensors file. */
export interface Tensor {
  shape: number[];
  values: Float32Array | Int32Array | Uint8Array;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

const WIDTHS: Record<string, number> = { F32: 4, I32: 4, U8: 1 };

/** The arrays of one file, by name. */
export class Tensors {
  readonly #byName: ReadonlyMap<string, Tensor>;
  readonly #file: string;

  /**
   * @param byName - The arrays.
   * @param file - What the file is called, for errors.
   */
  constructor(byName: ReadonlyMap<string, Tensor>, file: string) {
    this.#byName = byName;
    this.#file = file;
  }

  /** Give the numbers of a float32 array of this shape. */
  floats(name: string, shape: number[]): Float32Array {
    return this.#values(name, shape, Float32Array);
  }

  /** Give the numbers of an int32 array of this shape. */
  integers(name: string, shape: number[]): Int32Array {
    return this.#values(name, shape, Int32Array);
  }

  /** Give the numbers of a uint8 array of this shape. */
  bytes(name: string, shape: number[]): Uint8Array {
    return this.#values(name, shape, Uint8Array);
  }

  /** Give the shape of an array. */
  shape(name: string): number[] {
    return this.#tensor(name).shape;
  }

  #tensor(name: string): Tensor {
    const found = this.#byName.get(name);
    if (found === undefined) throw new DamagedError(`${this.#file} has no array "${name}"`);
    return found;
  }

  #values<Kind extends Tensor["values"]>(
    name: string,
    shape: number[],
    kind: new (length: number) => Kind,
  ): Kind {
    const found = this.#tensor(name);
    if (!(found.values instanceof kind) || found.shape.join() !== shape.join()) {
      throw new DamagedError(
        `the array "${name}" of ${this.#file} must be a ${kind.name} of shape [${shape}], got a ` +
          `${found.values.constructor.name} of shape [${found.shape}]`,
      );
    }
    return found.values;
  }
}

/** Read a safetensors file. */
export function readSafetensors(bytes: Uint8Array, file: string): Tensors {
  const byName = new Map<string, Tensor>();
  try {
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(asText(bytes.subarray(8, 8 + length))) as Record<string, Entry>;
    const data = bytes.subarray(8 + length);
    for (const [name, entry] of Object.entries(header)) {
      if (name !== "__metadata__") byName.set(name, readOne(entry, data));
    }
  } catch (error) {
    throw new DamagedError(`${file} is not a safetensors file: ${String(error)}`);
  }
  return new Tensors(byName, file);
}

function readOne(entry: Entry, data: Uint8Array): Tensor {
  const {
    dtype,
    shape,
    data_offsets: [start, end],
  } = entry;
  const count = shape.reduce((product, side) => product * side, 1);
  if (end > data.length || end - start !== count * (WIDTHS[dtype] ?? NaN)) {
    throw new RangeError(`${dtype} of shape [${shape}] at bytes ${start} to ${end}`);
  }
  const own = data.slice(start, end); // begins at a whole number of floats, as a view need not
  if (dtype === "F32") return { shape, values: new Float32Array(own.buffer) };
  if (dtype === "I32") return { shape, values: new Int32Array(own.buffer) };
  return { shape, values: own };
}
