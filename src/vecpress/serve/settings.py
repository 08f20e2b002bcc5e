"""What a server may be told. Plain values: nothing here needs a web framework."""

import math
import re
from dataclasses import dataclass, field

from vecpress.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and keys of a server.

    Attributes:
        name: What the press is called in `model`.
        api_keys: A request must name one of them; none: every request is answered.
        origins: Web pages that may ask, such as https://example.com; "*" for all.
        max_inputs: Texts in one request.
        max_batch: Texts that the models are given at a time.
        max_queue: Texts that may wait for their turn; a request beyond them is turned away.
        max_body: Bytes in one request.
        max_k: Hits of one search.
        timeout: Seconds a request may take, its waiting included.
        grace: Seconds for what is running when the server is told to stop.
        together: Whether texts of several requests may share a batch.
    """

    name: str = "vecpress"
    api_keys: tuple[str, ...] = field(default=(), repr=False)  # no log is to hold them
    origins: tuple[str, ...] = ()
    max_inputs: int = 2048
    max_batch: int = 64
    max_queue: int = 8192
    max_body: int = 16_000_000
    max_k: int = 1000
    timeout: float = 60.0
    grace: float = 30.0
    together: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                "the name of a press in a server has letters, digits, '.', '_' and '-', and begins "
                f"with a letter or digit, got {self.name!r}: choose one with --name"
            )
        for name in ("max_inputs", "max_batch", "max_queue", "max_body", "max_k"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_queue < self.max_inputs:
            raise ConfigError(
                f"max_queue must be at least max_inputs, which is {self.max_inputs}, or a server "
                f"with nothing to do would turn a request away; got {self.max_queue}"
            )
        for name in ("timeout", "grace"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} must be a number of seconds above 0, got {getattr(self, name)}"
                )
        for key in self.api_keys:
            if not key or key != key.strip() or not key.isascii() or not key.isprintable():
                raise ConfigError(
                    "an API key must have at least one character, all of them printable ASCII and "
                    "none of them a space at an end: a header can carry no other"
                )
