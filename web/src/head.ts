import type { HeadShape } from "./manifest.js";
import type { Tensors } from "./safetensors.js";
import { normalize, rowsTimes } from "./vectors.js";

interface Layer {
  weights: Float32Array;
  bias: Float32Array;
}

/** Affine layers with an activation between them: what every compressor ends as. */
export class Head {
  readonly #layers: Layer[];
  readonly #skip: Float32Array | null;
  readonly #shape: HeadShape;

  constructor(shape: HeadShape, tensors: Tensors) {
    this.#shape = shape;
    this.#layers = Array.from({ length: shape.layers }, (_, i) => readLayer(tensors, i));
    this.#skip = shape.skip ? tensors.floats("head.skip", tensors.shape("head.skip")) : null;
  }

  /** Map an embedding to a shorter one of unit length; zeros stay zeros. */
  compress(x: Float32Array): Float32Array {
    const dim = this.#layers.at(-1)!.bias.length;
    if (x.every((value) => value === 0)) return new Float32Array(dim);
    let h = this.#shape.layer_norm ? layerNorm(x) : x;
    this.#layers.forEach(({ weights, bias }, i) => {
      h = rowsTimes(weights, h, bias.length);
      add(h, bias);
      if (i < this.#layers.length - 1 || this.#shape.activate_last) this.#activate(h);
    });
    if (this.#shape.residual) add(h, x);
    if (this.#skip !== null) add(h, rowsTimes(this.#skip, x, dim));
    return normalize(h);
  }

  #activate(h: Float32Array): void {
    if (this.#shape.activation === "identity") return;
    const slope = this.#shape.activation === "leaky_relu" ? this.#shape.slope : 0;
    for (let i = 0; i < h.length; i++) if (h[i]! < 0) h[i]! *= slope;
  }
}

function readLayer(tensors: Tensors, i: number): Layer {
  const [out = 0, width = 0] = tensors.shape(`head.weights.${i}`);
  return {
    weights: tensors.floats(`head.weights.${i}`, [out, width]),
    bias: tensors.floats(`head.biases.${i}`, [out]),
  };
}

/** Add the first numbers of a vector at least as long, in place. */
function add(h: Float32Array, more: Float32Array): void {
  for (let i = 0; i < h.length; i++) h[i]! += more[i]!;
}

/** Centre and scale to unit variance; epsilon as in PyTorch. */
function layerNorm(x: Float32Array): Float32Array {
  let sum = 0;
  for (const value of x) sum += value;
  const mean = sum / x.length;
  let squares = 0;
  for (const value of x) squares += (value - mean) ** 2;
  const spread = Math.sqrt(squares / x.length + 1e-5);
  return x.map((value) => (value - mean) / spread);
}
