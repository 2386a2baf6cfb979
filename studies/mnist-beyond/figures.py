"""Tables and picture of the study: `python -m studies mnist-beyond`."""

from studies.mnist import make

__all__ = ["make"]
