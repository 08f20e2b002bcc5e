/** Every error that vecpress raises on purpose; its text says what to do next. */
export class VecpressError extends Error {
  override name = "VecpressError";
}

/** A file of the folder cannot be had: it is not there, or the network failed. */
export class DownloadError extends VecpressError {
  override name = "DownloadError";
}

/** A file of the folder is not what its manifest says. */
export class DamagedError extends VecpressError {
  override name = "DamagedError";
}

/** The folder was written by another version of vecpress than this one can read. */
export class VersionError extends VecpressError {
  override name = "VersionError";
}

/** This browser lacks what the folder needs. */
export class UnsupportedError extends VecpressError {
  override name = "UnsupportedError";
}

/** What is computed here is not what Python computed. */
export class GoldenError extends VecpressError {
  override name = "GoldenError";
}

/** A call was made with values it cannot take. */
export class InputError extends VecpressError {
  override name = "InputError";
}

const KINDS = {
  VecpressError,
  DownloadError,
  DamagedError,
  VersionError,
  UnsupportedError,
  GoldenError,
  InputError,
};

/** Make an error again that was told by its name and text, as a worker tells it. */
export function errorNamed(name: string, message: string): Error {
  if (name in KINDS) return new KINDS[name as keyof typeof KINDS](message);
  if (name === "AbortError") return new DOMException(message, name);
  return Object.assign(new Error(message), { name });
}
