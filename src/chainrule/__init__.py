"""chainrule: a lecture deck on neural networks and backpropagation, read as a specification.

`chainrule.spec` holds what the deck says, `chainrule.reference` what it means, `chainrule.triton_kernels` how it
runs fast, `chainrule.conformance` whether the three agree. Importing this package imports none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__version__ = "0.1.0"


def readable() -> None:
    """What every entry point begins with: a terminal that knows few letters shows a question mark for the others, and
    a reader that leaves early (`| head`) ends the program without a word."""
    import atexit
    import sys

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    told = sys.excepthook

    def unless_the_reader_left(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, BrokenPipeError):
            told(kind, error, trace)

    sys.excepthook = unless_the_reader_left
    atexit.register(_flushed)


def write_whole(path: Path, text: str) -> None:
    """A file of text, whole or not at all: who reads it meanwhile sees the old one; a failure leaves that, and nothing
    beside it. OSError where it cannot be written."""
    import os

    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def sort_of(value: object) -> str:
    """What a value is, in words: a list, an int."""
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def in_readme(text: str, begin: str, end: str, new: str) -> str:
    """The README's text with `new` from one mark to the other; ValueError unless each of the two stands there once."""
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"README.md: expected the lines {begin!r} and {end!r} once each")
    before, rest = text.split(begin)
    return before + new + rest.split(end)[1]


def _flushed() -> None:
    """Write what is left, or nowhere if nobody reads it."""
    import os
    import sys

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except ValueError:                     # closed already
            continue
