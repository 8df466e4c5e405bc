"""What a derivation starts from is what the record says: same value at every trial size, over the exact field."""

from random import Random

import pytest

from chainrule import spec
from chainrule.spec import expressions
from chainrule.spec.derive import command
from chainrule.spec.derive.proof import Trial
from chainrule.spec.dual import Field, NoRoot, constant

PRINTED = {"bp.delta.chain", "bp.delta.rec", "bp.grad", "bp.delta.out", "alg.delta.out", "alg.average"}
# their records print the result itself; certificates hold them against the forward reference
WITHOUT = PRINTED | {"pool.max.grad_x", "arch.tied.grad_theta"}        # defined by an index, and by a tie map
IDS = [id for id in command.ids() if id not in WITHOUT]


class Table:
    """An array of the trial, read as the record's form reads it."""

    def __init__(self, read):
        self.read = read

    def __getitem__(self, index):
        return self.read(index if isinstance(index, tuple) else (index,))


def layer_sizes(sizes):
    """conv2d.layer's record has one stride, padding and dilation, and counts channels over all groups."""
    return {**sizes, "P": sizes["R"], "C": sizes["C"] * sizes["G"], "F": sizes["F"] * sizes["G"]}


def same_both_ways(sizes):
    return all(sizes[a] == sizes[b] for a, b in (("S", "S2"), ("R", "R2"), ("D", "D2")))


RENAMED = {"conv2d.layer": {"K": "w"}}
SIZES = {"attn.head": lambda s: {**s, "d": s["D"]}, "fc.layer": lambda s: {**s, "q": s["m"], "p": s["n"]},
         "act.softmax": lambda s: {**s, "K": s["n"]}, "conv2d.layer": layer_sizes}


def names_of(record, trial, sizes):
    """Everything the record's form may name: sizes, arrays, scalars, functions."""
    bases = {base.name: base for base in trial.derivation.shapes}
    renamed = RENAMED.get(record.id, {})

    def table(name):
        base = bases[renamed.get(name, name)]
        return Table(lambda index: trial.instance.entry(base, index))

    scalars = {name: trial.instance.entry(bases[name], ()) for name, sort in record.symbols.items()
               if sort != "function"}
    functions = {name: lambda u: u for name, sort in record.symbols.items() if sort == "function"}
    return {**sizes, **scalars, **functions, **{name: table(name) for name in record.arrays}}


def differences(id, sizes, seed, change=lambda value: value):
    """Where the derivation's definition and the record's form, or a change of it, have different values."""
    derivation, record = command.make(id), spec.get(spec.get(id).of)
    value = change(record.value)
    with Field(seed) as field:
        trial = Trial(derivation, sizes, field)
        plain = {size.name: value for size, value in sizes.items()}
        names = names_of(record, trial, SIZES.get(record.id, dict)(plain))
        form = expressions.compiled_tree(expressions.parse(value), (*names, *record.index))
        if derivation.output is None:
            ours, theirs = [trial.instance.value(derivation.loss, {})], [form(*names.values())]
        else:
            places = trial.output_places()
            at = [trial.indices_of(derivation.output.entry, place) for _, place in places]
            ours = [trial.instance.value(derivation.output.means, place) for _, place in places]
            theirs = [form(*names.values(), *index) for index in at]
    return [k for k, (a, b) in enumerate(zip(ours, theirs, strict=True)) if constant(a) != constant(b)]


@pytest.mark.parametrize("id", IDS)
def test_the_definition_is_the_record_s(id):
    rng, tried = Random(0), 0
    for number, sizes in enumerate(command.make(id).trials):
        plain = {size.name: value for size, value in sizes.items()}
        if spec.get(id).of == "conv2d.layer" and not same_both_ways(plain):
            continue
        for attempt in range(60):
            try:
                assert differences(id, sizes, seed=rng.randrange(10**6)) == [], (plain, number)
                break
            except NoRoot:
                assert attempt < 59
        tried += 1
    assert tried > 0


@pytest.mark.parametrize(("id", "old", "new"), [
    ("conv1d.valid.grad_x", "theta[j]", "theta[m - 1 - j]"),
    ("conv1d.centred.grad_a", "theta[j + h]", "theta[h - j]"),
    ("conv2d.valid.grad_K", "K[m, n]", "2*K[m, n]"),
    ("norm.batch.grad_x", "+ eps", "- eps"),
    ("act.elu.prime", "alpha*(exp(x) - 1)", "alpha*exp(x)"),
    ("attn.head.grad_Q" if "attn.head.grad_Q" in IDS else "attn.dot.grad_Q", "V[t, e]", "V[t, 0]"),
])
def test_a_changed_record_is_noticed(id, old, new):
    def change(value):
        assert old in value
        return value.replace(old, new)

    found = 0
    for sizes in command.make(id).trials:
        try:
            found += len(differences(id, sizes, 1, change))
        except NoRoot:
            continue
    assert found
