"""The house's floors: a module imports only from floors below its own (design, section 2)."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "vecpress"
FLOORS = [
    {"errors"},
    {"arrays", "cores", "folders", "digests", "lines", "limits"},
    {"head", "registry", "qrels", "significance", "kernel"},
    {"stages", "records"},
    {"images", "lookups", "decoded_scan"},
    {"table_scan", "partition"},
    {
        *("artifact", "corpus", "losses", "importance", "scan", "strings", "card", "drawing"),
        *("entries", "toml", "sketches"),
    },
    {
        "training",
        "training_log",
        "recipe",
        "judgements",
        "per_query",
        "segments",
        "unique",
        "shards",
    },
    {
        "encoders",
        "compressors",
        "quantizers",
        "manifest",
        "partitioning",
        "ranking",
        "shard_writer",
    },
    {"pairs", "report_plots", "index", "streams"},
    {"draws"},
    {"sample", "report_tables", "upkeep", "index_writer"},
    {"fitting", "frontier_page", "pseudo", "candidates"},
    {"pipeline", "proxy", "weighing"},
    {
        "bounded",
        "bulk",
        "evaluate",
        "budget",
        "extend",
        "coordinates",
        "overview",
        "suggest",
        "official",
        "adapters",
        "serve",
    },
    {"plan", "row", "lineup", "exports"},
    {"comparison", "studies"},
    {"bench"},
    {"compare", "report", "training_page", "tracking"},
    {"screen", "arguments", "options"},
    {"explain"},
    {"demo", "exporting", "indexing", "measuring", "pushing", "streaming", "serving", "studying"},
    {"cli"},
    {"__main__"},
]
_TRAINED = (
    *("adaptors", "chain", "concat_decoder", "decoder_module", "memory", "residual"),
    *("row_training", "settings", "smec", "task", "watch"),
)
THIRD_PARTY = {  # who may import it; numpy and jaxtyping are everyone's
    "safetensors": {
        "artifact",
        "exports/web_data",
        *(f"encoders/{name}" for name in ("static", "distilled", "graphs", "bert_folder")),
    },
    "torch": {
        "losses",
        "training",
        "tracking",
        *(f"compressors/{name}" for name in _TRAINED),
        "encoders/torch_engine",
        "encoders/sentence_transformer",
        *("exports/st_module", "exports/st_stock"),
    },
    "tensorboard": {"tracking"},
    "sentence_transformers": {
        *("encoders/torch_engine", "encoders/sentence_transformer"),
        *("exports/st_folder", "exports/st_module", "exports/st_stock"),
    },
    "faiss": {"partitioning", "table_scan", "quantizers/product", "quantizers/rabitq"},
    "onnxruntime": {
        *("encoders/onnx", "encoders/onnx_engine", "exports/graph_run", "exports/web_engines"),
    },
    "onnx": {
        *("encoders/bert_graph", "encoders/graphs", "exports/web_engines"),
        *("exports/graph", "exports/nodes", "exports/onnx_export"),
    },
    "tokenizers": {
        *(f"encoders/{name}" for name in ("onnx", "distilled", "text_tokenizer", "torch_engine")),
        "encoders/sentence_transformer",
        "exports/words",
        "exports/st_stock",
        "exports/tokenizer_config",
        "exports/web_engines",
        "serve/tokens",
    },
    "sklearn": {"encoders/lexical", "adapters/sklearn"},
    "langchain_core": {"adapters/langchain"},
    "llama_index": {"adapters/llama_index"},
    "pyarrow": {"records", "encoders/precomputed", "encoders/vector_files", "shard_writer"},
    "PIL": {"images"},
    "mteb": {"official/doors", "official/meta", "official/run", "official/tasks"},
    "datasets": {"official/tasks"},
    "huggingface_hub": {"encoders/files", "exports/push"},
    "starlette": {f"serve/{n}" for n in ("app", "middleware", "reading", "refusals", "service")},
    "uvicorn": {"serve/run"},
    "pydantic": {f"serve/{n}" for n in ("app", "openapi", "reading", "schemas")},
    "prometheus_client": {"serve/metrics"},
    "typer": {
        "cli",
        "exporting",
        "indexing",
        "measuring",
        "options",
        "pushing",
        "serving",
        "studying",
    },
    "rich": {"cli", "explain", "screen"},
}
HEAVY = {
    *("torch", "faiss", "onnx", "onnxruntime", "tokenizers", "sklearn", "scipy"),
    *("sentence_transformers", "transformers", "huggingface_hub", "pyarrow", "pandas"),
    *("tensorboard", "PIL", "mteb", "datasets", "langchain_core", "llama_index"),
    *("starlette", "uvicorn", "pydantic", "prometheus_client"),
}
FILES = {
    str(path.relative_to(SRC).with_suffix("")): path
    for path in sorted(SRC.rglob("*.py"))
    if path != SRC / "__init__.py"  # the door: it names what it opens, and imports it lazily
}
every_file = pytest.mark.parametrize("name", FILES)


def imports(path):
    """Yield every module and name that a file imports, wherever it stands in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively, in line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif is_import_by_name(node):
            yield str(node.args[0].value)


def is_import_by_name(node):
    if not isinstance(node, ast.Call) or not node.args:
        return False
    called = ast.unparse(node.func).rpartition(".")[2]
    return called in {"require", "import_module"} and isinstance(node.args[0], ast.Constant)


def room(name):
    return name.partition("/")[0]


def floor(name):
    found = [i for i, rooms in enumerate(FLOORS) if room(name) in rooms]
    assert found, f"{name} has no floor: give it one in {Path(__file__).name}"
    return found[0]


def ours(path):
    """Yield the rooms of this house that a file imports."""
    parts = [name.split(".") for name in imports(path)]
    within = [p[1] for p in parts if p[0] == "vecpress" and len(p) > 1]
    yield from (target for target in within if not target.startswith("__"))


def test_no_room_has_two_floors():
    assert sum(len(rooms) for rooms in FLOORS) == len(set.union(*FLOORS))


@every_file
def test_imports_point_down(name):
    here = floor(name)
    for target in ours(FILES[name]):
        assert target == room(name) or floor(target) < here, f"{name} imports {target}"


@every_file
def test_a_module_is_not_its_own_neighbour(name):
    """Within a folder modules may import each other; a module of one file has no such excuse."""
    if "/" not in name:
        assert name not in ours(FILES[name])


@every_file
def test_third_parties_come_in_where_they_may(name):
    for target in {imported.partition(".")[0] for imported in imports(FILES[name])}:
        if target in {"numpy", "jaxtyping", "vecpress"} or target in sys.stdlib_module_names:
            continue
        assert name in THIRD_PARTY.get(target, set()), f"{name} imports {target}"


def test_the_table_names_files_that_exist():
    assert set.union(*THIRD_PARTY.values()) <= FILES.keys()


@pytest.mark.parametrize(
    "module", ["vecpress", "vecpress.pipeline", "vecpress.cli", "vecpress.adapters"]
)
def test_importing_is_light(module):
    code = f"import {module}, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(SRC.parent)},
    ).stdout.split()
    assert module in loaded
    assert not HEAVY & {name.partition(".")[0] for name in loaded}
    if module == "vecpress":
        assert not [name for name in loaded if name.startswith("vecpress.")]
