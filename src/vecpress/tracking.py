"""Training as it happens, for TensorBoard: one scalar per figure, stage and epoch."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vecpress import registry
from vecpress.errors import ArtifactError
from vecpress.stages import Log
from vecpress.training_log import Names, bands_of, number

_FLUSH = 5  # seconds after which an event is on disk, to be watched from outside


@contextmanager
def tensorboard(folder: str | Path) -> Generator[Log]:
    """Give a log that writes what it is told to an event file in `folder`.

    Tags are `STAGE/loss`, `STAGE/FIGURE`, `STAGE/gradient size/rows BAND` and
    `STAGE/gradient variance/rows BAND`; steps are epochs. What is no number is left out.

    Raises:
        MissingExtraError: tensorboard or torch is not installed.
        ArtifactError: the folder cannot be written.
    """
    registry.require("torch", extra="train")
    registry.require("tensorboard", extra="tensorboard")
    module = registry.require("torch.utils.tensorboard", extra="tensorboard")
    try:
        writer = module.SummaryWriter(str(folder), flush_secs=_FLUSH)
    except OSError as error:
        raise ArtifactError(f"cannot write TensorBoard events to {folder}: {error}") from error
    names = Names()

    def log(row: Mapping[str, Any]) -> None:
        if row.get("event") == "epoch":
            stage, epoch = names.place(row)
            for tag, value in _scalars(row):
                writer.add_scalar(f"{stage}/{tag}", value, epoch)

    with writer:
        yield log


def _scalars(row: Mapping[str, Any]) -> Generator[tuple[str, float]]:
    figure = row.get("figure")
    told = {
        "loss": number(row.get("loss")),
        figure if isinstance(figure, str) else "held out": number(row.get("held_out")),
    }
    for band, (size, variance) in bands_of(row).items():
        told[f"gradient size/rows {band}"] = size
        told[f"gradient variance/rows {band}"] = variance
    yield from ((tag, value) for tag, value in told.items() if value is not None)
