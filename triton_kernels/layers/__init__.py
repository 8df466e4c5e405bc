"""Fully connected layers: forward, the delta recursion, the averaged gradient."""
