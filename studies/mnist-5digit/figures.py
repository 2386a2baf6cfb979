"""Tables and picture of the study: `python -m studies mnist-5digit`."""

from studies.mnist import make

__all__ = ["make"]
