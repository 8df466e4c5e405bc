"""Losses and their deltas, computed in one pass."""
