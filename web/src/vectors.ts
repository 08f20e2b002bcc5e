/** Scale to unit length, in place; zeros stay zeros. */
export function normalize(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector));
  if (length === 0) return vector;
  for (let i = 0; i < vector.length; i++) vector[i]! /= length;
  return vector;
}

/** Sum the products of two vectors of one length, in double precision. */
export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Give the cosine of two vectors; two vectors of zeros are alike. */
export function cosine(a: Float32Array, b: Float32Array): number {
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  if (lengths > 0) return dot(a, b) / lengths;
  return dot(a, a) === dot(b, b) ? 1 : 0;
}

/** Multiply a matrix of `out` rows with a vector. */
export function rowsTimes(matrix: Float32Array, x: Float32Array, out: number): Float32Array {
  const made = new Float32Array(out);
  const width = x.length;
  for (let row = 0; row < out; row++) {
    let sum = 0;
    for (let i = 0, at = row * width; i < width; i++, at++) sum += matrix[at]! * x[i]!;
    made[row] = sum;
  }
  return made;
}

/** Multiply a row vector with a square matrix, from the left. */
export function timesSquare(x: Float32Array, matrix: Float32Array): Float32Array {
  const width = x.length;
  const sums = new Float64Array(width);
  for (let row = 0; row < width; row++) {
    const factor = x[row]!;
    for (let i = 0, at = row * width; i < width; i++, at++) sums[i]! += factor * matrix[at]!;
  }
  return Float32Array.from(sums);
}
