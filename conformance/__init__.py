"""Does it hold? The conformance suite: oracle, bounds, cases, judge, simulator, mutants.

`Backend` plugs functions in; `chainrule conform`, or `pytest --pyargs chainrule.conformance.suite`, judges them.
"""

from .backend import Backend, BackendError, in_place

__all__ = ["Backend", "BackendError", "in_place"]
