"""The fixtures of the tests of faults serve here too."""

from tests.resilience.conftest import connect

__all__ = ["connect"]
