"""Branches of steady states: how they move, turn and meet as one number is varied."""
