"""What every quantizer refuses, in the same words."""

from vecpress.arrays import Array
from vecpress.errors import ConfigError, ShapeError


def check_embeddings(embeddings: Array, *, dim: int) -> None:
    """Refuse embeddings that a codec was not calibrated for.

    Raises:
        ShapeError: they are no rows of `dim` dimensions.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] != dim:
        raise ShapeError(
            f"this codec takes {dim}-dimensional embeddings, got shape "
            f"{embeddings.shape}: was it calibrated on the same head, at the same width?"
        )


def check_codes(codes: Array, *, code_bytes: int) -> None:
    """Refuse codes of another codec.

    Raises:
        ShapeError: they are no rows of `code_bytes` bytes.
    """
    if codes.ndim != 2 or codes.shape[1] != code_bytes:
        raise ShapeError(
            f"this codec's codes are {code_bytes} bytes wide, got shape {codes.shape}: "
            "were they made by another artifact?"
        )


def check_range(value: int, *, name: str, least: int = 1, most: int | None = None) -> None:
    """Refuse an option out of its range.

    Raises:
        ConfigError: it is below `least` or above `most`.
    """
    if most is not None and not least <= value <= most:
        raise ConfigError(f"{name} must be between {least} and {most}, got {value}")
    if value < least:
        raise ConfigError(f"{name} must be at least {least}, got {value}")


def check_block(block: int | None, *, rotate: bool = True) -> None:
    """Refuse a block that is none, or that nothing would turn.

    Raises:
        ConfigError: it is below 1, or there is one without a rotation.
    """
    if block is not None and block < 1:
        raise ConfigError(f"rotate_block must be at least 1, got {block}")
    if block is not None and not rotate:
        raise ConfigError(f"rotate_block needs rotate = true, got rotate_block {block} without it")


def need_some(calibration: Array) -> None:
    """Refuse an empty calibration.

    Raises:
        ConfigError: there are no calibration embeddings.
    """
    if not len(calibration):
        raise ConfigError("a quantizer needs at least 1 calibration embeddings, got 0")
