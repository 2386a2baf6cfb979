"""Tables and picture of the study: `python -m studies mnist-cavity`."""

from studies.mnist import make

__all__ = ["make"]
