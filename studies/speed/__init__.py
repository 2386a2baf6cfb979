"""Benchmarks of nepfield, as ratios measured in one run: ``python -m studies.speed``."""
