"""The backends this package ships: our Triton kernels, and torch's composites of the same equations."""
