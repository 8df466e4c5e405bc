"""Derived gradients against the forward reference, by the exact field; wrong ones are refused by name."""

from itertools import pairwise

import pytest

from chainrule import reference
from chainrule.conformance.proofs import certify
from chainrule.conformance.proofs.certify_networks import certify_network
from chainrule.conformance.proofs.certify_vision import Block, certify_block
from chainrule.reference.backprop import averaged_gradient, backprop
from chainrule.reference.losses import cross_entropy
from chainrule.spec.derivations import derived, derived_ids
from chainrule.spec.field import Certificate, Field, check_direction, wrong_partials


def test_every_derived_gradient_has_a_claim():
    assert set(certify.CLAIMS) == set(derived_ids())


@pytest.mark.parametrize("id", certify.CLAIMS)
def test_derived_is_the_gradient_of_the_reference(id):
    found = certify.certify(id)
    assert found.partials >= found.sizes >= 1


def test_unknown_id_suggests_near_ones():
    with pytest.raises(KeyError, match=r"did you mean .*conv1d\.valid\.grad_x"):
        certify.certify("conv1d.valid.grad_y")


# ---- wrong references: the forward function is changed, the derived gradient is not

F = reference.FUNCTIONS


def _entry(y, place, change):
    """y with one number changed."""
    if not place:
        return change(y)
    k, *rest = place
    return [*y[:k], _entry(y[k], rest, change), *y[k + 1:]]


def double_last(id, which=-1):
    """The reference function with its last number doubled; the first may be an intercept unit, which is constant."""
    def wrong(*args, **kwargs):
        y = F[id](*args, **kwargs)
        if not isinstance(y, list | tuple):
            return 2 * y
        place = certify.places_of(y)[which]
        return _entry(y, place, lambda v: 2 * v)
    return wrong


OF = {id: entry.of for id, entry in certify.CLAIMS.items()}


@pytest.mark.parametrize("id", certify.CLAIMS)
def test_a_wrong_reference_is_refused_with_the_id_named(id):
    with pytest.raises(certify.Refuted, match=rf"^{id}: not the gradient of {OF[id]}"):
        certify.certify(id, {OF[id]: double_last(OF[id], 0 if id == "vit.embed.grad_token" else -1)})


def flipped(theta, x):
    return F["conv1d.valid"](theta[::-1], x)


def shifted(theta, a):
    return F["conv1d.centred"](theta, [0, *a[:-1]])


def transposed(image, K):
    square = len(K) == len(K[0])
    return F["conv2d.valid"](image, [list(row) for row in zip(*K)] if square else K)


def root_forgotten(x, gamma, beta, eps):
    return [gamma * (v - F["norm.mean"](x)) / (F["norm.variance"](x) + eps) + beta for v in x]


@pytest.mark.parametrize(("id", "wrong"), [
    ("conv1d.valid.grad_x", flipped),
    ("conv1d.valid.grad_theta", flipped),
    ("conv1d.centred.grad_a", shifted),
    ("conv2d.valid.grad_I", transposed),
    ("norm.batch.grad_x", root_forgotten),
])
def test_wrong_readings_are_refused(id, wrong):
    with pytest.raises(certify.Refuted, match=id.replace(".", r"\.")):
        certify.certify(id, {OF[id]: wrong})


def test_the_message_names_sizes_and_places():
    with pytest.raises(certify.Refuted) as refusal:
        certify.certify("conv1d.valid.grad_x", {"conv1d.valid": flipped}, [{"m": 2, "n": 3}])
    assert str(refusal.value) == (
        "conv1d.valid.grad_x: not the gradient of conv1d.valid at m = 2, n = 3: "
        "3 of 3 partial derivatives are wrong, the first at [0]")


# ---- what the deck prints and what SymPy derives are the same function

def layer(draw, n):
    return [None, *(draw() for _ in range(n))]


@pytest.mark.parametrize(("id", "arguments"), [
    ("act.sigmoid.prime", lambda draw: (draw(),)),
    ("bp.delta.out", lambda draw: (layer(draw, 3), layer(draw, 3))),
    ("alg.delta.out", lambda draw: (layer(draw, 3), layer(draw, 3))),
    ("bp.grad", lambda draw: (layer(draw, 3), [1, draw(), draw()])),
    ("bp.delta.rec", lambda draw: ([None, layer(draw, 2), layer(draw, 2)], layer(draw, 2), [1, draw(), draw()])),
    ("bp.delta.chain", lambda draw: ([None, layer(draw, 2), layer(draw, 2)], layer(draw, 2), layer(draw, 2))),
    ("alg.average", lambda draw: ([None, [draw(), draw()]], [None, [draw(), draw()]], draw(), 3)),
])
def test_printed_and_derived_agree(id, arguments):
    with Field(7) as field:
        given = arguments(field.draw)
        assert certify.flat(F[id](*given)) == certify.flat(derived(id)(*given))


# ---- sizes that matter

@pytest.mark.parametrize(("id", "size"), [
    ("norm.batch.grad_x", {"n": 512}),
    ("norm.layer.grad_x", {"n": 768}),
    ("attn.head.grad_Q", {"S": 32, "T": 32, "D": 32, "E": 32}),
    ("attn.head.grad_K", {"S": 32, "T": 32, "D": 32, "E": 32}),
    ("attn.head.grad_V", {"S": 32, "T": 32, "D": 32, "E": 32}),
    ("loss.softmax.delta", {"K": 1000}),
    ("act.softmax.prime", {"K": 1000}),
])
def test_real_sizes(id, size):
    assert certify.certify(id, sizes=[size]).sizes == 1


def test_the_whole_net():
    found = certify_network("torch.net")
    assert found
    assert len(found.gradient) == 81_194
    assert not any(found.accepts_error(k, error=1) for k in range(81_194))


def test_lenet():
    found = certify_network("lenet")
    assert found
    assert len(found.gradient) == 61_706


def test_a_whole_block_of_the_vision_transformer():
    """Every partial derivative by parameters and tokens; an error in any one of them would be seen."""
    found = certify_block()
    assert found
    assert len(found.gradient) == 9 * 8 + 4 * 8 + 2 * 3 * 4 * 9 + 8 * 9 + 16 * 9 + 8 * 17
    assert not any(found.accepts_error(k, error=1) for k in range(len(found.gradient)))


@pytest.mark.parametrize(("id", "wrong"), [
    ("act.relu", lambda z: z), ("net.out.linear", lambda Theta, a: F["net.out.linear"](Theta, [2, *a[1:]])),
    ("norm.layer", lambda x, gamma, beta, eps: F["norm.layer"](x, gamma, beta, 2 * eps)),
    ("attn.head", lambda Q, K, V, c: F["attn.head"](Q, K, V, 2 * c)),
], ids=lambda one: one if isinstance(one, str) else "")
def test_a_wrong_part_of_a_block_is_refused(id, wrong):
    assert not certify_block(Block(tokens=2, width=4, hidden=3), functions={id: wrong})


# ---- the reference's own backward passes

WIDTHS = (64, 128, 128, 10)


def network(p, widths=WIDTHS):
    numbers = iter(p)
    return [None, *([None, *([next(numbers) for _ in range(n + 1)] for _ in range(m))]
                    for n, m in pairwise(widths))]


def numbers_of(Theta):
    return [v for layer in Theta[1:] for row in layer[1:] for v in row]


def size(widths):
    return sum((n + 1) * m for n, m in pairwise(widths))


def likelihood_gradient(p, x, y, widths):
    return numbers_of(backprop(network(p, widths), x, y))


def likelihood(p, x, y, widths):
    _, a = F["net.out"](network(p, widths), x)
    return sum(cross_entropy(y[i], a[-1][i + 1]) for i in range(len(y)))


def test_all_26122_partials_of_the_printed_backpropagation():
    x, y = [k % 7 - 3 for k in range(64)], [int(k == 3) for k in range(10)]
    assert check_direction(lambda p: likelihood(p, x, y, WIDTHS), 26_122,
                           lambda p: likelihood_gradient(p, x, y, WIDTHS))


def test_every_single_planted_error_is_refused_at_26122():
    """One certificate, and then each coordinate in turn: the claim moves by e·u_k, and no u_k is 0."""
    x, y = [k % 5 - 2 for k in range(64)], [int(k == 7) for k in range(10)]
    found = Certificate(lambda p: likelihood(p, x, y, WIDTHS), 26_122,
                        lambda p: likelihood_gradient(p, x, y, WIDTHS))
    assert found
    assert not any(found.accepts_error(k, error=1) for k in range(26_122))


def test_the_algorithm_slide_is_the_gradient_of_the_corrected_objective():
    widths, lam = (3, 4, 2), 5
    data = [([k + 1, 2 - k, k * k], [k % 2, 1]) for k in range(3)]

    def objective(p):
        Theta = network(p, widths)
        predictions = [F["net.out"](Theta, x)[1][-1][1:] for x, _ in data]

        def both(y, yhat):
            return sum(cross_entropy(a, b) for a, b in zip(y, yhat))
        return F["loss.objective.corrected"]([y for _, y in data], predictions, Theta, lam, both)

    def D(p):
        return numbers_of(averaged_gradient(network(p, widths), data, lam))

    assert check_direction(objective, size(widths), D)
    assert wrong_partials(objective, size(widths), lambda p: [2 * g for g in D(p)]) == list(range(size(widths)))


@pytest.mark.parametrize(("id", "loss"), [
    ("bp.delta.out", "loss.xent.negated"), ("alg.delta.out", "loss.xent"),
])
def test_neither_printed_delta_belongs_to_the_other_loss(id, loss):
    with pytest.raises(certify.Refuted, match=id):
        certify.certify(id, {OF[id]: F[loss]})
