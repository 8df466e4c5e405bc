"""What a check says of arguments that no kernel takes; `instead` knows who may compute them then."""

from __future__ import annotations


class Refusal(Exception):
    """No kernel takes this."""


class WrongType(Refusal, TypeError):
    """An argument of a type or dtype that no kernel takes."""


class WrongValue(Refusal, ValueError):
    """An argument of a size, or with a value, that no kernel takes."""
