/** Version of the folder's format that this library reads. */
export const FORMAT_VERSION = 1;

/** What `data/manifest.json` says: written by `vecpress export PRESS --to web`. */
export interface Manifest {
  format_version: number;
  kind: "web";
  title: string;
  engine: "static" | "onnx";
  precision: "int8" | "float16" | "float32";
  press: PressFacts;
  inputs: TokenInput[];
  /** Name of the graph's input that says whether a text is a query (1) or a document (0). */
  role_input: string | null;
  graph: string | null;
  branches: TableBranch[] | null;
  head: HeadShape | null;
  codec: CodecShape;
  fine: CodecShape | null;
  /** With `fine`: how many times `k` documents are ordered anew by it. */
  rescore: number;
  tensors: string;
  documents: { count: number; codes: string; fine: string | null; texts: string };
  questions: string[];
  golden: Golden;
  files: Record<string, FileFacts>;
}

/** The press that made the codes. */
export interface PressFacts {
  fingerprint: string;
  models: string[];
  dim: number;
  in_dim: number;
  code_bytes: number;
  vecpress: string;
}

/** One sequence of token ids per text. */
export interface TokenInput {
  ids: string;
  mask: string;
  tokenizer: string;
  special_tokens: boolean;
  /** How many end tokens stand before and after a text. */
  ends: [number, number];
  prompts: Partial<Record<"query" | "document", string>>;
  max_tokens: number | null;
  pad_id: number;
}

/** A table of a row per token; a text is the sum of its tokens' rows. */
export interface TableBranch {
  input: number;
  rows: string;
  scales: string;
  bits: number;
  dim: number;
  unknown: number;
  max_tokens: number | null;
  sublinear: boolean;
  scale: number;
}

/** The form of a head; its arrays are tensors. */
export interface HeadShape {
  layers: number;
  activation: "identity" | "relu" | "leaky_relu";
  slope: number;
  activate_last: boolean;
  layer_norm: boolean;
  residual: boolean;
  skip: boolean;
}

/** The form of a codec; its arrays are tensors. */
export type CodecShape = ScalarShape | ProductShape;

/** A level per cell of each dimension. */
export interface ScalarShape {
  kind: "scalar";
  dim: number;
  bits: number;
  rotation: boolean;
}

/** A centroid per number of each group of dimensions. */
export interface ProductShape {
  kind: "product";
  dim: number;
  groups: number;
  bits: number;
  width: number;
  rotation: boolean;
}

/** Texts, and what Python makes of them; arrays as base64 of little-endian bytes. */
export interface Golden {
  texts: string[];
  roles: ("query" | "document")[];
  vectors: string;
  codes: string | null;
  /** The least cosine that was reached when the folder was written. */
  cosine: number;
  /** What may be lost on another machine. */
  margin: number;
}

/** A file as it lies on the server. */
export interface FileFacts {
  bytes: number;
  sha256: string;
  unpacked?: number;
}
