"""Makes stix-two-math.woff2: STIX Two Math (OFL), cut down to what the formulas need.

    python -m chainrule.conformance.report.font STIXTwoMath-Regular.otf
"""

from __future__ import annotations

import sys
import unicodedata
from importlib.resources import files
from pathlib import Path

from ... import spec
from ...spec import typeset
from ...spec.derivations import derivation_page, derived_ids
from .formulas import element

OUT = Path(str(files(__package__))) / "stix-two-math.woff2"
ALWAYS = "".join(map(chr, range(0x20, 0x7F))) + "−×·⋅±≤≥≠≈∈∉∂∇∑∏∫√∞→←↔⇒…⋯⋮⋱′″∗⋆≜∀∃∣∥⌈⌉⌊⌋⟨⟩[]{}|ˆˉ¯˜⏞⏟\ufe00"
LETTERS = "".join(map(chr, (*range(0x391, 0x3CA), *range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C),
                            *range(0x1D400, 0x1D434)))) + "ℎℒℝℕℤℓ𝟙"      # any letter of a formula yet to come

SPECIAL = {"h": "ℎ", "∂": "𝜕", "∇": "𝛻", "ϵ": "𝜖", "ϑ": "𝜗", "ϕ": "𝜙", "ϱ": "𝜚", "ϖ": "𝜛"}


def formulas() -> list[str]:
    """Every formula of the records and every line of the derivations that the report and the book draw, in LaTeX."""
    found = [form.latex for equation in spec.load().values() for form in equation.forms]
    found += [latex for equation in spec.load().values() for latex in typeset.formulas(equation)]
    for id in derived_ids():
        drawn = derivation_page(id).partition("\n## JVP\n")[0]
        found += [line.strip(" $") for line in drawn.splitlines() if line.strip().startswith("$$")]
    return found


def characters() -> set[str]:
    """What is drawn when the formulas are: a single letter in an `mi` is drawn italic."""
    found = set(ALWAYS + LETTERS)
    for latex in formulas():
        tree = element(latex)
        for node in tree.iter() if tree is not None else ():
            found |= set(node.text or "")
            if node.tag == "mi" and len(node.text or "") == 1 and node.get("mathvariant") != "normal":
                found.add(italic(node.text or ""))
    return found


def italic(letter: str) -> str:
    """The mathematical italic of a letter, or the letter."""
    if letter in SPECIAL:
        return SPECIAL[letter]
    kind = "CAPITAL" if letter.isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"MATHEMATICAL ITALIC {kind} {unicodedata.name(letter).rpartition(' LETTER ')[2]}")
    except (KeyError, ValueError):
        return letter


def main(source: str) -> None:
    from fontTools import subset

    options = subset.Options(flavor="woff2", layout_features=["ssty", "dtls", "flac"], hinting=False,
                             name_IDs=[0, 1, 2, 13, 14], notdef_outline=True, with_zopfli=False)
    font = subset.load_font(source, options)
    cut = subset.Subsetter(options)
    cut.populate(unicodes=[ord(letter) for letter in characters()])
    cut.subset(font)
    subset.save_font(font, str(OUT), options)
    print(f"{OUT.name}: {OUT.stat().st_size} bytes, {len(characters())} characters")


if __name__ == "__main__":
    main(sys.argv[1])
