"""What an equation still lacks, one sentence each: the id, what is missing, and the file to open."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ... import reference, spec
from ...spec import Equation
from ..witnesses import table
from .certify import CLAIMS

FORMAL = ("definition", "algorithm", "count")
FILES = {                                        # chapter of an id: its records, its reference, its witnesses
    "act": ("activations.toml", "activations.py", "networks.py"),
    "loss": ("losses.toml", "losses.py", "networks.py"),
    "net": ("networks.toml", "layers.py", "networks.py"),
    "conv2d": ("images.toml", "convolution.py", "convolution.py"),
    "pool": ("images.toml", "pooling.py", "convolution.py"),
    "norm": ("training.toml", "normalization.py", "training.py"),
    "opt": ("training.toml", "optimizers.py", "training.py"),
    "attn": ("architectures.toml", "attention.py", "architectures.py"),
    "init": ("chance.toml", "chance.py", "training.py"),
    "aug": ("chance.toml", "chance.py", "training.py"),
    "vit": ("architectures.toml", "attention.py", "architectures.py"),
}


def files_of(id: str) -> tuple[str, str, str]:
    """The files of an id's chapter, from the top of the repository."""
    record, function, witness = FILES.get(id.partition(".")[0], ("*.toml", "*.py", "*.py"))
    return f"spec/{record}", f"reference/{function}", f"conformance/witnesses/{witness}"


def ungraded(id: str, records: Mapping[str, Equation]) -> list[str]:
    """What a record declares to be differentiated by, without a gradient record and without a reason."""
    record = records[id]
    if record.kind == "derivation":
        return []
    have = {by for other in records.values() if other.of == id for by in other.wrt}
    return [by for by in record.wrt if by not in have and by not in record.underived]


def missing(records: Mapping[str, Equation] | None = None, functions: Collection[str] | None = None,
            derived: Collection[str] | None = None, claims: Collection[str] | None = None,
            witnesses: Collection[str] | None = None) -> Iterator[str]:
    """Every link that is missing; each argument can be another set, to see that it would be noticed."""
    records = spec.load() if records is None else records
    functions = reference.FUNCTIONS if functions is None else functions
    derived = spec.derived_ids() if derived is None else derived
    claims = CLAIMS if claims is None else claims
    witnesses = {row.id for row in table()} if witnesses is None else witnesses
    for id, record in records.items():
        where, reference_file, witness_file = files_of(id)
        printed_gradient = record.kind == "derivation" and not record.of
        if (record.kind in FORMAL or printed_gradient) and record.value is None:
            yield f"{id}: no machine form; give it a `value` in {where}"
        if (record.kind in FORMAL or printed_gradient) and id not in functions:
            yield f'{id}: no reference function; write one in {reference_file}, tagged @implements("{id}")'
        if record.kind == "derivation" and record.value is None and id not in derived:
            of = records.get(record.of)
            steps = "" if of is not None and not of.arrays else "write its steps in spec/derive/chapters/ and "
            yield f"{id}: no derivation; {steps}run `chainrule derive {id}`"
        for by in ungraded(id, records):
            yield (f"{id}: no gradient by {by}, which its `wrt` declares; write its record, or why in `underived`, "
                   f"in {where}")
        if record.of in records and (unnamed := sorted({*record.wrt} - {*records[record.of].wrt})):
            yield (f"{id}: a gradient by {', '.join(unnamed)}, which {record.of} does not declare; name it in `wrt` "
                   f"there, in {files_of(record.of)[0]}")
        if id in derived and id not in claims:
            yield f"{id}: nothing certifies it against the reference; enter a claim in conformance/proofs/claims.py"
    for id in functions:
        where, _, witness_file = files_of(id)
        if id not in records:
            yield f"{id}: a reference function without a record; write one in {where}"
        if id not in witnesses:
            yield f"{id}: no outside witness; add a row to {witness_file}"
    for id in (*derived, *claims):
        if id not in records:
            yield f"{id}: a derivation or a claim without a record; write one in {files_of(id)[0]}"
