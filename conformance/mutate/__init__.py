"""Deliberately wrong references and kernels: what the suite must catch, and what a failure looks like."""
