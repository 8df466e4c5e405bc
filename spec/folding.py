"""Folding a formula at spaces outside its brackets, and a line of Python under the bracket it stands in."""

from __future__ import annotations

import io
import re
import tokenize
from itertools import pairwise

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


# ---- Python

def narrow(source: str, width: int) -> str:
    """A source in so many columns: a statement with a line that is too long is broken again; comments stay."""
    lines = source.split("\n")
    done, start = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source + "\n").readline):
        if token.type in (tokenize.NEWLINE, tokenize.NL) and token.start[0] > start and _ends(token):
            done += _narrowed(lines[start:token.start[0]], width)
            start = token.start[0]
    return "\n".join([*done, *lines[start:]])


def _ends(token: tokenize.TokenInfo) -> bool:
    """Does a statement, a comment or an empty line end here? A line inside brackets goes on."""
    return token.type == tokenize.NEWLINE or not token.line.strip() or token.line.lstrip().startswith("#")


def _narrowed(rows: list[str], width: int) -> list[str]:
    if all(len(row) <= width for row in rows):
        return rows
    indent = len(rows[0]) - len(rows[0].lstrip())
    if '"""' in rows[0] or any("#" in row for row in rows):
        return [row if len(row) <= width else " " * indent + fold(row.strip(), indent, indent + 4, width)
                for row in rows]
    line = " " * indent + re.sub(r"(?<=[(\[]) | (?=[)\]])", "", " ".join(row.strip() for row in rows))
    wrapped = wrap(line, width).split("\n")
    return [part for row in wrapped for part in _folded(row, width)]


def _folded(row: str, width: int) -> list[str]:
    """A row that no rule breaks, folded inside its innermost open bracket."""
    if len(row) <= width:
        return [row]
    indent = len(row) - len(row.lstrip())
    places = [k for k in range(indent + 1, width) if row[k] == " " and _depth(row[:k]) > 0]
    if not places:
        return [row]
    cut = min(places, key=lambda k: (_depth(row[:k]), -k))
    return [row[:cut], *_folded(" " * (indent + 4) + row[cut:].lstrip(), width)]


def _depth(text: str) -> int:
    return sum(text.count(c) for c in "[(") - sum(text.count(c) for c in "])")


def wrap(line: str, width: int = 100) -> str:
    """A long line broken before each `for` and `if`, under the bracket it stands in; a long sum between its terms."""
    if len(line) <= width:
        return line
    if " for " not in line:
        return _terms(line)
    comprehension = r"(?= for )|(?= if (?!.* else ))"
    ways = [_broken(line, comprehension), _broken(line, comprehension, _outermost_terms(line)),
            _broken(line, rf"{comprehension}|(?= and )|(?= else )")]
    fitting = [way for way in ways if _widest(way) <= width]
    return ways[0] if ways[0] in fitting else min(fitting or ways, key=lambda way: way.count("\n"))


def _widest(text: str) -> int:
    return max(map(len, text.split("\n")))


def _outermost_terms(line: str) -> frozenset[int]:
    """Where a + or − stands inside as few brackets as any."""
    found = [(_depth(line[:m.start()]), m.start()) for m in re.finditer(r" [+-] (?=[\w(])", line)]
    return frozenset(k for depth, k in found if depth == min(found)[0])


def _broken(line: str, places: str, others: frozenset[int] = frozenset()) -> str:
    """The line broken at these places, under the bracket it stands in."""
    done, row = "", ""
    opened: list[int] = []
    cuts = sorted({0, len(line), *others, *(m.start() for m in re.finditer(places, line))})
    pieces = [line[a:b] for a, b in pairwise(cuts)]
    for piece in pieces:
        if opened and row:
            done += row + "\n"
            row = " " * opened[-1] + piece.lstrip()
        else:
            row = piece
        start = len(row) - len(piece.lstrip() if opened else piece)
        for column in range(start, len(row)):
            if row[column] in "[(":
                opened.append(column + 1)
            elif row[column] in "])":
                opened.pop()
    return done + row


def _terms(line: str) -> str:
    """return a + b, in parentheses, a term a line."""
    head, found, value = line.partition("return ")
    pieces, depth, start = [], 0, 0
    for k, letter in enumerate(value):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and value[k:k + 3] in (" + ", " - "):
            pieces.append(value[start:k])
            start = k + 1
    pieces.append(value[start:])
    return line if not found or len(pieces) == 1 else f"{head}return ({(chr(10) + head + ' ' * 8).join(pieces)})"
