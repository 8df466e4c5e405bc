"""chainrule: a lecture deck on neural networks and backpropagation, read as a specification.

`chainrule.spec` holds what the deck says, `chainrule.reference` what it means, `chainrule.triton_kernels` how it
runs fast, `chainrule.conformance` whether the three agree. Importing this package imports none of them.
"""

__version__ = "0.1.0"


def readable() -> None:
    """Have a terminal that knows few letters show a question mark for the others, instead of a traceback."""
    import sys

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
