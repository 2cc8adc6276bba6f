"""The ``mock`` distribution's name for what has long been in the standard library."""

from unittest.mock import Mock

__all__ = ["Mock"]
