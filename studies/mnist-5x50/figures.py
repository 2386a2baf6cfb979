"""Tables and picture of the study: `python -m studies mnist-5x50`."""

from studies.mnist import make

__all__ = ["make"]
