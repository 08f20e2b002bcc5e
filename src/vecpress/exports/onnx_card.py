"""What people read first in an exported folder: its README.md."""

from collections.abc import Mapping
from typing import Any

_EXAMPLE = """\
import json
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

press = json.loads(Path("vecpress.json").read_text("utf-8"))
session = onnxruntime.InferenceSession("model.onnx")

def run(texts, role):  # "query" or "document"
    feed = {FEED}
    for put in press["inputs"]:
        tokenizer = Tokenizer.from_file(put["tokenizer"])
        tokenizer.enable_padding(pad_id=put["pad_id"])
        prompted = [put["prompts"][role] + text for text in texts]
        rows = tokenizer.encode_batch(prompted, add_special_tokens=put["special_tokens"])
        feed[put["ids"]] = np.array([row.ids for row in rows], np.int64)
        feed[put["mask"]] = np.array([row.attention_mask for row in rows], np.int64)
    return session.run(None, feed)

OUTPUTS = run(["how do I read a csv file"], "query")
"""


def describe_bundle(manifest: Mapping[str, Any], *, graph_bytes: int) -> str:
    """Write the card: what goes in, what comes out, and the lines that run it."""
    role = manifest["role_input"]
    feed = "{}" if role is None else f'{{"{role}": np.array(role == "query", np.int64)}}'
    outputs = [name for name in manifest["outputs"].values() if name is not None]
    example = _EXAMPLE.replace("{FEED}", feed)
    example = example.replace("OUTPUTS", ", ".join(outputs) + ("," if len(outputs) == 1 else ""))
    lines = [
        "# A vecpress press as an ONNX graph",
        "",
        f"`model.onnx` ({graph_bytes / 1e6:.1f} MB, {manifest['precision']}) takes token ids to "
        f"embeddings of {manifest['dim']} dimensions"
        + (f" and codes of {manifest['code_bytes']} bytes." if manifest["code_bytes"] else "."),
        f"Models inside: {', '.join(manifest['models'])}; their licences hold for their weights.",
        "It has standard operators only, and cuts texts that are too long by itself.",
        "",
        "| input | type | what |",
        "|---|---|---|",
        *(_row(put) for put in manifest["inputs"]),
        *([] if role is None else [f"| `{role}` | int64, scalar | 1 for queries, else 0 |"]),
        "",
        "| output | type | what |",
        "|---|---|---|",
        f"| `{outputs[0]}` | float32 (batch, {manifest['dim']}) | rows of unit norm; their inner "
        "product is the similarity |",
        *(f"| `{name}` | uint8 (batch, bytes) | what `quantize` of the press gives |"
          for name in outputs[1:]),
        "",
        *(f"- Left out: {sentence}" for sentence in manifest["without"].values()),
        f"- On the texts of `golden.json` the least cosine to the press's own vectors is "
        f"{manifest['cosine']:.7f}.",
        f"- Fingerprint of the press: `{manifest['fingerprint']}`",
        "",
        "With vecpress: `vecpress.exports.onnx_bundle.OnnxBundle.load(folder).encode(texts)`.",
        "Without it, in this folder:",
        "",
        "```python",
        *example.splitlines(),
        "```",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _row(put: Mapping[str, Any]) -> str:
    most = put["max_tokens"]
    told = f"ids of `{put['tokenizer']}`, padded on the right"
    told += ", with its end tokens" if put["special_tokens"] else ", without end tokens"
    told += f"; {most} are read" if most else "; all are read"
    prompts = [f"{text!r} before a {role}" for role, text in put["prompts"].items() if text]
    told += f"; put {' and '.join(prompts)}" if prompts else ""
    return (
        f"| `{put['ids']}`, `{put['mask']}` | int64 (batch, length) | {told}; and a mask, 1 where "
        "there are ids |"
    )
