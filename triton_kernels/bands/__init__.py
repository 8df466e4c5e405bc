"""Locally connected and shared layers: a band of weights along the nodes."""
