"""Every error this library raises on purpose.

VecpressError
  ConfigError          a recipe or argument is out of range (also a ValueError)
  ShapeError           an array does not fit the stage it was given to (also a ValueError)
  DataError            a corpus, vector file or judgement file cannot be used (also a ValueError)
  ModelError           an encoder's weights cannot be loaded (also an OSError)
  ArtifactError        a saved artifact cannot be read or written (also an OSError)
  MismatchError        two artifacts do not belong together (also a ValueError)
  MissingExtraError    an optional dependency is not installed (also an ImportError)
"""


class VecpressError(Exception):
    """Base class; catch it to catch all of ours."""


class ConfigError(VecpressError, ValueError):
    """A recipe or argument is out of range."""


class ShapeError(VecpressError, ValueError):
    """An array does not fit the stage it was given to."""


class DataError(VecpressError, ValueError):
    """A corpus, vector file or judgement file cannot be used."""


class ModelError(VecpressError, OSError):
    """An encoder's weights cannot be loaded."""


class ArtifactError(VecpressError, OSError):
    """A saved artifact cannot be read or written."""


class MismatchError(VecpressError, ValueError):
    """Two artifacts do not belong together."""


class MissingExtraError(VecpressError, ImportError):
    """An optional dependency is not installed."""
