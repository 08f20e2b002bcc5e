import { Tokenizer as Library } from "@huggingface/tokenizers";

import { asText } from "./bytes.js";
import { DamagedError } from "./errors.js";
import type { TokenInput } from "./manifest.js";
import { makeExact } from "./normalizers.js";
import type { Role } from "./press.js";

interface TokenizerFile {
  model?: { unk_token?: string | null };
}

/** Splits texts into token ids, as Python's `tokenizers` does. */
export class Tokenizer {
  readonly #library: Library;
  readonly #input: TokenInput;

  /** Read a tokenizer.json. */
  constructor(bytes: Uint8Array, input: TokenInput) {
    this.#input = input;
    try {
      const file = JSON.parse(asText(bytes)) as TokenizerFile;
      this.#library = new Library(file, { unk_token: file.model?.unk_token });
    } catch (error) {
      throw new DamagedError(`${input.tokenizer} is not a tokenizer that runs here: ${error}`);
    }
    makeExact(this.#library);
  }

  /** Give the ids of a text, its prompt before it, and the ends around it if there are any. */
  encode(text: string, role: Role): number[] {
    const prompted = (this.#input.prompts[role] ?? "") + text.toWellFormed();
    return this.#library.encode(prompted, { add_special_tokens: this.#input.special_tokens }).ids;
  }

  /** Leave out the ends. */
  within(ids: number[]): number[] {
    const [before, after] = this.#input.ends;
    return ids.slice(before, ids.length - after);
  }
}
