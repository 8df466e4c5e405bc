"""Activations: value and derivative, and what is kept for backward."""
