"""Does it hold? The conformance suite: oracle, bounds, cases, judge, simulator, mutants.

`Backend` plugs functions in; `chainrule conform`, or `pytest --pyargs chainrule.conformance.suite`, judges them;
`guard` judges one while it trains.
"""

from typing import TYPE_CHECKING, Any

from .backend import Backend, BackendError, in_place

if TYPE_CHECKING:
    from .training.guard import guard

__all__ = ["Backend", "BackendError", "guard", "in_place"]


def __getattr__(name: str) -> Any:
    """What imports torch is imported when it is asked for."""
    if name == "guard":
        from .training.guard import guard

        return guard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
