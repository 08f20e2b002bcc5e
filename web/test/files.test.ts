import { expect, test } from "vitest";

import { asFloats, fromBase64, gunzip, isGzip, sha256 } from "../src/bytes";
import { DamagedError } from "../src/errors";
import { readSafetensors } from "../src/safetensors";
import { readNumber } from "../src/tables";
import { cosine, normalize } from "../src/vectors";

function safetensors(header: object, data: Uint8Array, pad = ""): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header) + pad);
  const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer);
  return Uint8Array.of(...length, ...text, ...data);
}

const HEADER = {
  __metadata__: { from: "anywhere" },
  a: { dtype: "F32", shape: [1, 2], data_offsets: [1, 9] },
  b: { dtype: "U8", shape: [1], data_offsets: [0, 1] },
};
const DATA = Uint8Array.of(7, ...new Uint8Array(new Float32Array([1.5, -2]).buffer));

test("a safetensors file is read wherever its numbers begin", () => {
  for (const pad of ["", " ", "  ", "   "]) {
    const whole = safetensors(HEADER, DATA, pad);
    const within = new Uint8Array(whole.length + 3);
    within.set(whole, 3);
    const tensors = readSafetensors(within.subarray(3), "x.safetensors");
    expect(Array.from(tensors.floats("a", [1, 2]))).toEqual([1.5, -2]);
    expect(Array.from(tensors.bytes("b", [1]))).toEqual([7]);
  }
});

test("a damaged safetensors file is named", () => {
  const short = safetensors(HEADER, DATA).subarray(0, -1);
  expect(() => readSafetensors(short, "x.safetensors")).toThrow(DamagedError);
  expect(() => readSafetensors(short, "x.safetensors")).toThrow(
    "x.safetensors is not a safetensors file: RangeError: F32 of shape [1,2] at bytes 1 to 9",
  );
  expect(() => readSafetensors(new Uint8Array(3), "y")).toThrow(/^y is not a safetensors file: /);
  const other = { a: { dtype: "F16", shape: [1], data_offsets: [0, 2] } };
  expect(() => readSafetensors(safetensors(other, new Uint8Array(2)), "z")).toThrow(DamagedError);
});

test("an array that is missing, or another than expected, is named", () => {
  const tensors = readSafetensors(safetensors(HEADER, DATA), "x");
  expect(() => tensors.floats("c", [1])).toThrow('x has no array "c"');
  expect(() => tensors.integers("a", [1, 2])).toThrow(
    'the array "a" of x must be a Int32Array of shape [1,2], got a Float32Array of shape [1,2]',
  );
  expect(() => tensors.floats("a", [2, 1])).toThrow(/must be a Float32Array of shape \[2,1\]/);
});

test("numbers of any width are read, lowest bits first", () => {
  const bytes = Uint8Array.of(0xff, 0b10110100, 0b01101001, 0b11000011);
  let bits = "";
  for (const byte of bytes.subarray(1))
    bits += [...byte.toString(2).padStart(8, "0")].reverse().join("");
  for (let width = 1; width <= 8; width++) {
    for (let i = 0; (i + 1) * width <= 24; i++) {
      const wanted = [...bits.slice(i * width, (i + 1) * width)].reverse().join("");
      expect(readNumber(bytes, 1, i, width)).toBe(parseInt(wanted, 2));
    }
  }
});

test("gzip is known and unpacked", async () => {
  const { gzipSync } = await import("node:zlib");
  const packed = new Uint8Array(gzipSync("text"));
  expect(isGzip(packed)).toBe(true);
  expect(new TextDecoder().decode(await gunzip(packed))).toBe("text");
  expect(isGzip(Uint8Array.of(0x1f))).toBe(false);
  expect(isGzip(Uint8Array.of(0x1f, 0x8c, 8))).toBe(false);
});

test("a digest is that of the standard", async () => {
  const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(await sha256(new TextEncoder().encode("abc"))).toBe(digest);
});

test("floats in base64 are little-endian", () => {
  const bytes = fromBase64("AACAPwAAAMA=");
  expect(Array.from(asFloats(bytes))).toEqual([1, -2]);
  expect(Array.from(asFloats(bytes.subarray(4)))).toEqual([-2]);
});

test("zeros have no direction", () => {
  const zeros = new Float32Array(3);
  expect(normalize(zeros)).toEqual(new Float32Array(3));
  expect(cosine(zeros, new Float32Array(3))).toBe(1);
  expect(cosine(zeros, Float32Array.of(0, 1, 0))).toBe(0);
  expect(cosine(Float32Array.of(0, 2, 0), Float32Array.of(0, -1, 0))).toBe(-1);
});
