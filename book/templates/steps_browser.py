"""Runs in the reader's browser: the lines of a derivation, and which of them hold as they are written, as JSON."""

from __future__ import annotations

import json

import attrs

from chainrule.spec.derive.stepwise import compared, lines


def opened(id: str) -> str:
    return json.dumps([attrs.asdict(line) for line in lines(id)])


def checked(request: str) -> str:
    """{id, texts} to what was found, line by line."""
    given = json.loads(request)
    return json.dumps([attrs.asdict(one) for one in compared(given["id"], given["texts"])])
