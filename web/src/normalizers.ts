/**
 * Normalizers that do to a text exactly what Python's `tokenizers` does.
 *
 * Those of `@huggingface/tokenizers` 0.2.0 differ outside of the basic plane (CJK extension B) and
 * where lower case depends on a letter's neighbours (the final sigma). What still differs here are
 * letters that Unicode took in later than the tables of either side.
 */
import { Normalizer, SequenceNormalizer, type Tokenizer } from "@huggingface/tokenizers";

/** Lower-case each character by itself. */
class Lowercase extends Normalizer {
  override normalize(text: string): string {
    return lower(text);
  }
}

/** What BERT's tokenizer does to a text. */
class Bert extends Normalizer {
  override normalize(text: string): string {
    const asked = this.config as BertOptions;
    if (asked.clean_text) text = clean(text);
    if (asked.handle_chinese_chars) text = text.replace(CHINESE, " $& ");
    if (asked.strip_accents ?? asked.lowercase) text = text.normalize("NFD").replace(MARKS, "");
    return asked.lowercase ? lower(text) : text;
  }
}

interface BertOptions {
  clean_text?: boolean;
  handle_chinese_chars?: boolean;
  strip_accents?: boolean | null;
  lowercase?: boolean;
}

const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;
const MARKS = /\p{Mn}/gu;
const REMOVED = /[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu;
const SPACE = /\p{White_Space}/gu;
const SIGMA = /Σ/g;

function clean(text: string): string {
  return text.replace(REMOVED, "").replace(SPACE, " ");
}

/** Lower-case; a capital sigma at the end of a word becomes the same letter as anywhere else. */
function lower(text: string): string {
  return text.replace(SIGMA, "σ").toLowerCase();
}

/** Replace a tokenizer's normalizers by those here, wherever there is one. */
export function makeExact(tokenizer: Tokenizer): void {
  tokenizer.normalizer = tokenizer.normalizer && exact(tokenizer.normalizer);
}

function exact(normalizer: Normalizer): Normalizer {
  const { config } = normalizer;
  if (config.type === "Lowercase") return new Lowercase(config);
  if (config.type === "BertNormalizer") return new Bert(config);
  if (normalizer instanceof SequenceNormalizer) {
    normalizer.normalizers = normalizer.normalizers.map((part) => part && exact(part));
  }
  return normalizer;
}
