"""Tables and picture of the study: `python -m studies mnist-15x150`."""

from studies.mnist import make

__all__ = ["make"]
