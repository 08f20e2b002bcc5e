"""Plain values as TOML text, which the standard library only reads."""

import json
import re
from collections.abc import Mapping
from typing import Any


def to_toml(values: Mapping[str, Any]) -> str:
    """Write a recipe's values as `vecpress fit --recipe` reads them; what is None is left out."""
    kept = {key: value for key, value in values.items() if value is not None}
    tables = {key: value for key, value in kept.items() if isinstance(value, Mapping)}
    lines = [f"{_key(k)} = {_value(v)}" for k, v in kept.items() if k not in tables]
    for name, table in tables.items():
        lines += ["", f"[{_key(name)}]"] if lines else [f"[{_key(name)}]"]
        lines += [f"{_key(k)} = {_value(v)}" for k, v in table.items() if v is not None]
    return "\n".join(lines)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        kept = ((k, v) for k, v in value.items() if v is not None)
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in kept) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return _text(str(value))
