"""Lines for the log, one for each thing that happened: JSON for programs, or text for people."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

Format = Literal["json", "text"]


class Lines(logging.Formatter):
    """Writes a record as one line, whatever stands in it."""

    def __init__(self, style: Format) -> None:
        super().__init__()
        self._format = style

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; what was told beside its message is part of it."""
        told: dict[str, Any] = dict(getattr(record, "told", {}))
        if "event" not in told:
            told = {"event": "note", "message": record.getMessage(), **told}
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        level = record.levelname.lower()
        if self._format == "json":
            line = {"time": when, "level": level, **told}
            return json.dumps(line, ensure_ascii=True, default=str)
        parts = [f"{name}={value}" for name, value in told.items() if name != "event"]
        line = " ".join([when, level, str(told["event"]), *parts])
        return line if record.exc_info else line.encode("unicode_escape").decode()


def write_logs(style: Format) -> None:
    """Send what the server and uvicorn say to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(style))
    for name in ("vecpress.serve", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "vecpress.serve" else logging.WARNING)
