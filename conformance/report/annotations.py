"""What failed, at the line of the function that failed: for a CI that shows workflow commands beside the code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SHOWN = 10                   # of one kind in one step, by the service that reads them
PLACE = re.compile(r"(?P<file>.+):(?P<line>\d+)( \S+)?$")


def wanted() -> bool:
    """Whether somebody reads them."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def noted(records: list[Mapping[str, Any]]) -> Iterator[str]:
    """One line for each op that failed, of its first failure."""
    first = {record["id"]: record for record in reversed(records) if record["state"] == "fail"}
    for op, record in list(reversed(first.items()))[:SHOWN]:
        many = sum(one["id"] == op and one["state"] == "fail" for one in records)
        where = PLACE.match(record.get("place") or "")
        at = f"file={_property(_short(where['file']))},line={where['line']}," if where else ""
        title = f"chainrule: {op} fails {many} case{'s' if many > 1 else ''}"
        yield f"::error {at}title={_property(title)}::{_text(_says(record))}"


def _says(record: Mapping[str, Any]) -> str:
    worst = record.get("worst") or {}
    lines = [record.get("reason") or ""]
    if worst.get("output"):
        index = ", ".join(map(str, worst.get("index") or []))
        lines.append(f"{worst['output']}[{index}] is {worst.get('actual')}, expected {worst.get('expected')}")
    if record.get("looks_like"):
        lines.append(f"looks like: {record['looks_like']}")
    lines.append(f"again: {record.get('repro') or record['case']}")
    return "\n".join(line for line in lines if line)


def _short(file: str) -> str:
    """Below the working folder, as a CI names files."""
    path = Path(file)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else file


def _text(words: str) -> str:
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(words: str) -> str:
    return _text(words).replace(":", "%3A").replace(",", "%2C")
