"""Whole programs and training code, judged op by op."""
