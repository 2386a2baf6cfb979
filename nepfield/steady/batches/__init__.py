"""Thousands of samples: blocks of them share one pass over the factors of a matrix."""
