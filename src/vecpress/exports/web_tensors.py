"""Head, codec and tables as a page reads them: plain values in its manifest, numbers in tensors."""

from typing import Any

import numpy as np

from vecpress.arrays import Array, Rounded, pack
from vecpress.errors import ConfigError
from vecpress.head import Head
from vecpress.quantizers.cells import ScalarCodec
from vecpress.quantizers.product import ProductCodec
from vecpress.stages import Codec

Described = tuple[dict[str, Any], dict[str, Array]]
"""What the manifest says of a part, and the part's tensors by name."""


def describe_head(head: Head) -> Described:
    """Describe a head; its narrower widths are left out."""
    told = {
        "layers": len(head.weights),
        "activation": head.activation,
        "slope": float(head.slope),
        "activate_last": head.activate_last,
        "layer_norm": head.layer_norm,
        "residual": head.residual,
        "skip": head.skip is not None,
    }
    tensors = {f"head.weights.{i}": weight for i, weight in enumerate(head.weights)}
    tensors |= {f"head.biases.{i}": bias for i, bias in enumerate(head.biases)}
    return told, tensors if head.skip is None else tensors | {"head.skip": head.skip}


def describe_codec(codec: Codec, *, name: str) -> Described:
    """Describe what codes mean; the tensors' names begin with `name`.

    Raises:
        ConfigError: it is neither a scalar nor a product code.
    """
    if isinstance(codec, ScalarCodec):
        told: dict[str, Any] = {"kind": "scalar", "bits": codec.bits}
        tensors: dict[str, Array] = {f"{name}.levels": codec.levels}
    elif isinstance(codec, ProductCodec):
        groups, _, width = codec.centroids.shape
        told = {"kind": "product", "bits": codec.bits, "groups": groups, "width": width}
        tensors = {f"{name}.centroids": codec.centroids, f"{name}.order": codec.order}
    else:
        raise ConfigError(
            f"a page cannot scan the codes of a {type(codec).__name__}, only those of scalar and "
            "product quantizers: fit the press with one, such as percentile, lloyd-max or pq"
        )
    if codec.rotation is not None:
        tensors[f"{name}.rotation"] = codec.rotation
    return told | {"dim": codec.dim, "rotation": codec.rotation is not None}, tensors


def describe_table(table: Rounded, *, name: str) -> Described:
    """Describe the rows of a table; a packed number is raised by half of what its bits hold."""
    half = 2 ** (table.bits - 1)
    cells = (table.numbers.astype(np.int16) + half).astype(np.uint8)
    told = {
        "rows": f"{name}.rows",
        "scales": f"{name}.scales",
        "bits": table.bits,
        "dim": int(cells.shape[1]),
    }
    return told, {told["rows"]: pack(cells, table.bits), told["scales"]: table.scales}
