"""Folding a formula at spaces outside its brackets, at any width."""

from __future__ import annotations

OPENING, CLOSING = "({[⌈⌊", ")}]⌉⌋"


def fold(text: str, start: int, hang: int, width: int = 100) -> str:
    """Break a formula; the first line begins in column `start`, others at `hang`."""
    lines, row, used = [], "", start
    for word in _words(text, max(width - hang, 8)):
        if row and used + len(row) + 1 + len(word) > width:
            lines.append(row)
            row, used = " " * hang + word, 0
        else:
            row = f"{row} {word}" if row else word
    return "\n".join([*lines, row])


def _words(text: str, width: int) -> list[str]:
    """Pieces between spaces outside brackets; one that is too long is opened up in turn."""
    words, depth, word = [], 0, ""
    for letter in text:
        depth += (letter in OPENING) - (letter in CLOSING)
        if letter == " " and depth <= 0:
            words.append(word)
            word = ""
        else:
            word += letter
    words.append(word)
    return [piece for word in words for piece in (_opened(word, width) if len(word) > width else [word])]


def _opened(word: str, width: int) -> list[str]:
    """The pieces inside the outermost brackets of a word that fits on no line."""
    first = next((k for k, letter in enumerate(word) if letter in OPENING), None)
    if first is None or " " not in word:
        return [word]
    head, inner = word[:first + 1], _words(word[first + 1:], width)
    return [head + inner[0], *inner[1:]] if len(inner) > 1 else [word]
