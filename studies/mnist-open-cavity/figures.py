"""Tables and picture of the study: `python -m studies mnist-open-cavity`."""

from studies.mnist import make

__all__ = ["make"]
