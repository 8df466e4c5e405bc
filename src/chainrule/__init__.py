"""chainrule: a lecture deck on neural networks and backpropagation, read as a specification.

`chainrule.spec` holds what the deck says, `chainrule.reference` what it means, `chainrule.triton_kernels` how it
runs fast, `chainrule.conformance` whether the three agree. Importing this package imports none of them.
"""

__version__ = "0.1.0"
