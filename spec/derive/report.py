"""What a run of `chainrule derive` found."""

from __future__ import annotations

import attrs


@attrs.frozen
class Finding:
    """One derivation: `same`, `form` (equal over the field, other text), `wrong`, or `written`."""

    id: str
    state: str
    message: str = ""
    compared: int = 0
    seconds: float = 0.0


@attrs.frozen
class Report:
    """What a run found. `status` is its exit code: text that differs is excused only under another SymPy."""

    findings: tuple[Finding, ...]
    sympy: str
    committed_with: str | None = None

    @property
    def status(self) -> int:
        if not self.findings:
            return 3
        excused = {"same", "written"} | ({"form"} if self.sympy != self.committed_with else set())
        return int(any(f.state not in excused for f in self.findings))

    @property
    def ok(self) -> bool:
        return self.status == 0

    def text(self) -> str:
        """One line per derivation that is not as it should be, and the totals."""
        lines = [f"{f.state}  {f.message}" for f in self.findings if f.state in ("form", "wrong")]
        counts = {s: sum(f.state == s for f in self.findings) for s in ("written", "same", "form", "wrong")}
        totals = ", ".join(f"{n} {s}" for s, n in counts.items() if n)
        compared = sum(f.compared for f in self.findings)
        seconds = sum(f.seconds for f in self.findings)
        lines.append(f"{len(self.findings)} derivations: {totals}; {compared:,} comparisons in {seconds:.1f} s; "
                     f"SymPy {self.sympy}")
        return "\n".join(lines)
