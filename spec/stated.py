"""Sentences whose numbers are computed: a phrase is filled in by a proof, and must stand in the text word for word."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import sympy as sp

VULGAR = {Fraction(1, 2): "½", Fraction(1, 4): "¼"}
WORDS = {2: "two", 3: "three", 10: "ten"}
TIMES = {2: "doubles", 4: "fourfold"}
# a digit that belongs to a name: a layer, an index, a power, an id, a number of a finding, a base
NAMES = re.compile(r"\^\([^)]*\)|_\{[^}]*\}|_\w+|E\d\d|\b[a-z]\w*(?:\.\w+)+|\b[a-z]+\d+\w*|\b\d-(?:based|D)\b")
NUMBERS = re.compile(r"\d|[½¼¾⅓]|\b(?:two|three|ten)(?= (?:layers|digits))|\b(?:doubles|trebles|halves|\w+fold)\b")


def shown(value: Any) -> str:
    """A computed value as it is written in a sentence."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(map(shown, value))}]"
    if isinstance(value, sp.Expr) and not value.is_number:
        from .derive.printers import Plain
        return Plain()(value)
    if isinstance(value, sp.Rational):
        value = Fraction(int(value.p), int(value.q))
    if isinstance(value, Fraction) and value in VULGAR:
        return VULGAR[value]
    return f"{value:g}".replace("-", "−") if isinstance(value, float) else str(value).replace("-", "−")


def phrase(template: str, *values: Any) -> str:
    """The template with the values where it says {}."""
    return template.format(*map(shown, values))


def uncovered(text: str, phrases: Iterable[str]) -> list[str]:
    """The words of a text with a number that no phrase accounts for. Spaces do not count."""
    letters = [(k, c) for k, c in enumerate(text) if c != " "]
    packed = "".join(c for _, c in letters)
    said = {k for found in NAMES.finditer(text) for k in range(*found.span())}
    for one in phrases:
        packed_phrase = one.replace(" ", "")
        start = packed.find(packed_phrase)
        while start >= 0:
            said |= {k for k, _ in letters[start:start + len(packed_phrase)]}
            start = packed.find(packed_phrase, start + 1)
    return [word.group() for word in re.finditer(r"\S+", text)
            if any(word.start() + found.start() not in said for found in NUMBERS.finditer(word.group()))
            and any(k not in said for k in range(*word.span()))]


def stands_in(one: str, text: str) -> bool:
    """Is the phrase part of the text, spaces apart?"""
    return one.replace(" ", "") in text.replace(" ", "")
