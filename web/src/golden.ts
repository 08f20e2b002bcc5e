import { asFloats, fromBase64 } from "./bytes.js";
import { GoldenError } from "./errors.js";
import type { Golden } from "./manifest.js";
import type { Role } from "./press.js";
import { cosine } from "./vectors.js";

/** Embeds one text. */
export type Embed = (text: string, role: Role) => Promise<Float32Array>;

/** Check that the golden texts get here the vectors that they got from Python. */
export async function checkGolden(golden: Golden, dim: number, embed: Embed): Promise<void> {
  const vectors = asFloats(fromBase64(golden.vectors));
  const least = golden.cosine - golden.margin;
  for (const [i, text] of golden.texts.entries()) {
    const wanted = vectors.subarray(i * dim, (i + 1) * dim);
    const reached = cosine(await embed(text, golden.roles[i]!), wanted);
    if (reached >= least) continue;
    throw new GoldenError(
      `the ${golden.roles[i]} ${JSON.stringify(text)} gets another vector here than in Python: their ` +
        `cosine is ${reached.toFixed(6)}, and at least ${least.toFixed(6)} was expected; export the ` +
        "folder again with the same release as this page, or open it with verify: false",
    );
  }
}
