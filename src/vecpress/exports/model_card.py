"""The README.md of a folder for sentence-transformers: what it is, how to use it, its scores."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vecpress.exports.bases import Base
from vecpress.exports.dims_bits import BITS, DimsBits
from vecpress.pipeline import Pipeline

_PLACE = "FOLDER_OR_REPO_ID"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the card tells besides what the press knows of itself.

    Attributes:
        bases: Models of others that it is made of.
        table: Its scores, or its sizes.
        module: Why it is a module of vecpress; empty if no package of ours is needed.
        has_codec: Whether the folder holds the codec.
    """

    bases: Sequence[Base]
    table: DimsBits
    module: str = ""
    has_codec: bool = False


def model_card(pipeline: Pipeline, facts: Facts) -> str:
    """Write the card."""
    parts = [
        _front_matter(facts),
        _head(pipeline, facts),
        _use(pipeline, facts),
        *([_codes()] if facts.has_codec else []),
        _table(facts.table),
        _origin(pipeline, facts),
    ]
    return "\n".join(line for part in parts for line in (*part, ""))


def _front_matter(facts: Facts) -> list[str]:
    """Give YAML; strings stand in it as JSON, which is YAML too."""
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "tags:",
        *(f"- {tag}" for tag in ("sentence-transformers", "sentence-similarity")),
        *(f"- {tag}" for tag in ("feature-extraction", "vecpress")),
    ]
    ids = [base.hub_id for base in facts.bases if base.hub_id is not None]
    if ids:
        lines += ["base_model:", *(f"- {json.dumps(hub_id)}" for hub_id in ids)]
    if shared := _shared_license(facts.bases):
        lines.append(f"license: {json.dumps(shared)}")
    return [*lines, "---"]


def _shared_license(bases: Sequence[Base]) -> str | None:
    """Give the license of all models, if it is known and one."""
    found = {base.license for base in bases}
    return next(iter(found)) if len(found) == 1 else None


def _names(pipeline: Pipeline, facts: Facts) -> str:
    """Name the models; those of a corpus alone have no base."""
    own = [name for name in pipeline.recipe.model_names if name.startswith("lexical")]
    return " + ".join([*(base.name for base in facts.bases), *own])


def _head(pipeline: Pipeline, facts: Facts) -> list[str]:
    models, head = _names(pipeline, facts), pipeline.recipe.head
    how = "as they are" if head is None else f"by the method {type(head).__name__}"
    corpus = pipeline.provenance.get("corpus", {})
    of = f" of {corpus['documents']:,}" if "documents" in corpus else ""
    return [
        f"# {models}, in {pipeline.dim} dimensions",
        "",
        f"Texts become embeddings of {pipeline.dim} dimensions and unit norm, for semantic search: "
        f"{pipeline.in_dim} dimensions of {models}, shortened {how}. Made by "
        f"vecpress, fitted on {pipeline.provenance['sample']:,}{of} documents.",
    ]


def _use(pipeline: Pipeline, facts: Facts) -> list[str]:
    install = "'vecpress[encode,onnx]'" if facts.module else "'sentence-transformers>=5.6'"
    trust = ", trust_remote_code=True" if facts.module else ""
    lines = [
        "## Use",
        "",
        "```bash",
        f"pip install {install}",
        "```",
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        f'model = SentenceTransformer("{_PLACE}"{trust})',
        'documents = model.encode_document(["a text", "another text"])',
        'queries = model.encode_query(["a question"])',
        "scores = model.similarity(queries, documents)  # cosine",
        "```",
        "",
        "`model.encode` takes texts for documents. Prompts, if the models have any, are put before "
        "texts by themselves.",
    ]
    if facts.module:
        lines += [
            "",
            f"This folder needs the package vecpress, because {facts.module}. "
            "`trust_remote_code=True` lets sentence-transformers import a module that is not its "
            "own; it is the one in the package you installed, and no code comes with this folder. "
            f'`vecpress.exports.st_module.open_press("{_PLACE}")` does without.',
        ]
    return [*lines, "", *_cut(pipeline, facts.table)]


def _cut(pipeline: Pipeline, table: DimsBits) -> list[str]:
    """Say how to get fewer dimensions."""
    if pipeline.head is None:
        return ["It has one width: its embeddings cannot be cut."]
    if pipeline.head.narrower is not None:
        return [
            "Its narrower widths have maps of their own, so do not cut its embeddings "
            "(`truncate_dim`): they would be others. Export the press cut to the width instead."
        ]
    fewer = table.dims[1] if len(table.dims) > 1 else max(1, pipeline.dim // 2)
    return [
        "A prefix of an embedding is an embedding too: "
        f"`model.encode_document(texts, truncate_dim={fewer}, normalize_embeddings=True)`."
    ]


def _codes() -> list[str]:
    return [
        "## Codes",
        "",
        "The folder `vecpress` turns these embeddings into codes of a few bytes, and searches:",
        "",
        "```python",
        "from vecpress import Pipeline",
        "",
        f'press = Pipeline.load("{_PLACE}/vecpress")  # a folder on your disk',
        "index = press.index(model.encode_document(texts))",
        'hits = press.search(index, model.encode_query(["a question"]))',
        "```",
    ]


def _table(table: DimsBits) -> list[str]:
    heading = ["| dimensions | " + " | ".join(_bits(bits) for bits in BITS) + " |"]
    heading.append("|---:|" + "---:|" * len(BITS))
    rows = [
        f"| {dim} | " + " | ".join(_cell(table, dim, bits) for bits in BITS) + " |"
        for dim in table.dims
    ]
    if not table.benchmark:
        return [
            "## Bytes per document",
            "",
            *heading,
            *rows,
            "",
            "What these score was not measured. To have it here, give the export a benchmark, "
            "`vecpress export PRESS --to sentence-transformers --evaluate BEIR_FOLDER`.",
        ]
    own = f"{table.own_ndcg:.3f} ({100 * table.recovery(table.own_ndcg):.1f} %)"
    return [
        f"## nDCG@10 on {table.benchmark}",
        "",
        *heading,
        *rows,
        "",
        f"In brackets the share of what the float embeddings before "
        f"the head score, {table.baseline:.3f}, and the bytes per document. {table.queries:,} "
        f"queries, {table.documents:,} documents; queries stay in float. The codes are "
        f"{table.coder}, calibrated on the benchmark's documents; its judgements only scored. The "
        f"press as it was fitted takes {table.own_bytes:,} bytes per document and scores {own}.",
    ]


def _bits(bits: int) -> str:
    return "float32" if bits == 32 else f"{bits} bit{'s' if bits > 1 else ''}"


def _cell(table: DimsBits, dim: int, bits: int) -> str:
    cell = table.at(dim, bits)
    if cell is None:
        return "too few documents"
    if cell.ndcg is None:
        return f"{cell.bytes_per_vector:,} B"
    share = 100 * table.recovery(cell.ndcg)
    return f"{cell.ndcg:.3f} ({share:.1f} %, {cell.bytes_per_vector:,} B)"


def _origin(pipeline: Pipeline, facts: Facts) -> list[str]:
    return [
        "## Models and licenses",
        "",
        *_licenses(facts.bases),
        "",
        f"Fingerprint of the press: `{pipeline.fingerprint}`.",
    ]


def _licenses(bases: Sequence[Base]) -> Iterator[str]:
    for base in bases:
        place = (
            base.name if base.hub_id is None else f"[{base.hub_id}](https://hf.co/{base.hub_id})"
        )
        package = f"; the package it came in says: {base.package}" if base.package else ""
        yield f"- {place}: {base.license or 'license unknown'}{package}"
    if not bases:
        yield "No model of others is in it: it was made of the corpus alone."
    elif any(base.license is None for base in bases):
        yield ""
        yield (
            "The card of a model above does not tell its license: look it up before you share this "
            "folder, and add it to the first lines of this card."
        )
    elif _shared_license(bases) is None:
        yield ""
        yield (
            "The licenses differ, and all of them hold for this folder: check that they allow what "
            "you want, and add yours to the first lines of this card."
        )
