"""Rows of a training log, gathered by stage: what is read, and what the page draws of it.

The rows come from outside, so every value may be missing or of another type than expected; such a
value counts as absent. Rows of an unknown event, and unknown keys, are let be.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vecpress import artifact
from vecpress.errors import DataError
from vecpress.records import read_records

Row = Mapping[str, Any]

_EVENTS = ("epoch", "coordinates", "kept")


def is_training(path: Path) -> bool:
    """Say whether a file looks like a training log; a folder is taken for a press with one."""
    if path.is_dir() or path.name == artifact.LOG:
        return True
    try:
        return "event" in next(iter(read_records(path)), ())
    except DataError:
        return False


def read_training(path: str | Path) -> tuple[Row, ...]:
    """Read the training log of a press folder, or a training.jsonl.

    Raises:
        ArtifactError: the folder is not an artifact, or is damaged.
        DataError: there is no log, or the file is not one.
    """
    path = Path(path)
    if path.is_dir():
        rows = artifact.read_log(path)
        if not rows:
            raise DataError(
                f"{path} has no training log: only a head that is trained, such as smec, leaves one"
            )
        return rows
    rows = tuple(read_records(path))
    if not any(row.get("event") in _EVENTS for row in rows):
        raise DataError(
            f"{path} is not a training log: no row has an 'event' of {', '.join(_EVENTS)}; give a "
            "press folder or its training.jsonl"
        )
    return rows


def number(value: Any) -> float | None:
    """Give a finite number of a size that can be drawn; anything else counts as absent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e100 else None


def listed(value: Any) -> Sequence[Any]:
    """Give a list; anything else counts as an empty one."""
    return value if isinstance(value, list | tuple) else ()


@dataclass(frozen=True)
class Epoch:
    """One pass over the data.

    Attributes:
        number: 0 is the starting point.
        loss: Mean over the batches.
        held_out: The figure on rows never trained on.
        bands: Size and variance of the gradients, by band of rows.
    """

    number: int
    loss: float | None
    held_out: float | None
    bands: Mapping[str, tuple[float | None, float | None]]


@dataclass
class Stage:
    """All that a log says of one stage.

    Attributes:
        name: Unlike every other stage's.
        figure: What the held-out rows measure.
        epochs: In order.
        coordinates: The row that says which coordinates survive.
        kept: The row that says which epoch was kept.
    """

    name: str
    figure: str = "held-out figure"
    epochs: list[Epoch] = field(default_factory=list)
    coordinates: Row | None = None
    kept: Row | None = None

    @property
    def last(self) -> int:
        """Number of the last epoch."""
        return self.epochs[-1].number if self.epochs else 0

    @property
    def kept_epoch(self) -> int | None:
        """Number of the epoch that was kept; 0 is the starting point."""
        if self.kept is None:
            return None
        return 0 if self.kept.get("what") == "start" else _count(self.kept.get("epoch"))

    @property
    def start(self) -> float | None:
        """The held-out figure before training."""
        told = None if self.kept is None else number(self.kept.get("start"))
        return told if told is not None else self._judged(0)

    @property
    def held_out(self) -> float | None:
        """The held-out figure of what was kept."""
        if self.kept is None:
            return None
        told = number(self.kept.get("held_out"))
        return told if told is not None else self._judged(self.kept_epoch)

    def _judged(self, epoch: int | None) -> float | None:
        return next((e.held_out for e in self.epochs if e.number == epoch), None)


class Names:
    """Tells stages of one name apart: where the epochs start again, another stage begins."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def place(self, row: Row) -> tuple[str, int]:
        """Name the stage of the next row, and its epoch; one without a number follows the last."""
        plain = str(row.get("stage") or "training")
        times, epoch = self._seen.get(plain, (1, -1))
        if row.get("event") == "epoch":
            told = _count(row.get("epoch"))
            times += told is not None and told <= epoch
            epoch = epoch + 1 if told is None else told
        self._seen[plain] = (times, epoch)
        return plain if times == 1 else f"{plain} ({times})", epoch


def bands_of(row: Row) -> dict[str, tuple[float | None, float | None]]:
    """Give size and variance of the gradients of an epoch, by band of rows."""
    return {
        str(band.get("rows") or "all"): (number(band.get("size")), number(band.get("variance")))
        for band in listed(row.get("gradients"))
        if isinstance(band, Mapping)
    }


def stages_of(rows: Iterable[Row]) -> list[Stage]:
    """Gather rows by stage, in the order trained."""
    names = Names()
    stages: dict[str, Stage] = {}
    for row in rows:
        event = row.get("event")
        if event not in _EVENTS:
            continue
        name, epoch = names.place(row)
        stage = stages.setdefault(name, Stage(name))
        if isinstance(row.get("figure"), str):
            stage.figure = row["figure"]
        if event == "epoch":
            loss, held_out = number(row.get("loss")), number(row.get("held_out"))
            stage.epochs.append(Epoch(epoch, loss, held_out, bands_of(row)))
        elif event == "coordinates":
            stage.coordinates = row
        else:
            stage.kept = row
    return list(stages.values())


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 10**9 else None
