import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

const MIT = `MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`;

/** Writes licenses.txt: ours, and of what is bundled, also into workers, where vite does not look. */
export function licenses(): Plugin {
  return {
    name: "licenses",
    generateBundle() {
      const tokenizers = new URL("node_modules/@huggingface/tokenizers/LICENSE", import.meta.url);
      const own = new URL("../LICENSE", import.meta.url);
      const parts = {
        "vecpress-web (MIT)": readFileSync(own, "utf8"),
        "@huggingface/tokenizers (Apache-2.0)": readFileSync(tokenizers, "utf8"),
        "onnxruntime-web (MIT)": MIT, // its package has no such file
      };
      const source = Object.entries(parts).map(([name, text]) => `${name}\n\n${text.trim()}\n`);
      const fileName = "licenses.txt";
      this.emitFile({ type: "asset", fileName, source: source.join(`\n${"-".repeat(79)}\n\n`) });
    },
  };
}
