"""The deck's worked examples, computed literally: `python -m chainrule.reference`."""

from __future__ import annotations

from itertools import repeat

from chainrule import readable

from .backprop import alg_delta_out, average, averaged_gradient, backprop, delta_out, forward, passes
from .convolution import conv1d_centred
from .counts import fc_claim, fc_params, local_claim, local_params, parameters
from .examples import THETA, I, K, X, example_conv1d, example_conv2d
from .ids import FUNCTIONS
from .lists import Matrix, Network, Scalar, Vector
from .losses import cross_entropy, cross_entropy_negated
from .networks import LENET, NET, build
from .optimizers import gd

NETWORK: Network = [None,
                    [None, [0.1, 0.3, -0.2], [-0.1, 0.4, 0.5]],
                    [None, [0.2, -0.6, 0.7]]]


def say(id: str, value: object) -> None:
    print(f"  {id:<18} {value}")


def vector(v: Vector, sign: str = "+") -> str:
    return "[" + ", ".join(f"{x:{sign}.4f}" for x in v if x is not None) + "]"


def beside(*tables: Matrix) -> list[str]:
    """Matrices next to each other, line by line."""
    height = max(map(len, tables))
    rows = [[" ".join(map(str, t[i])) if i < len(t) else "" for t in tables] for i in range(height)]
    return ["".join(f"{cell:<14}" for cell in row).rstrip() for row in rows]


def convolutions() -> None:
    print("Convolution (lines 1753–1811, 1833–1909); the slides lost the outputs, here they are")
    say("conv1d.valid", f"θ = {THETA}   x = {X}   θ ∗ x = {example_conv1d()}")
    say("conv1d.centred", f"the same, ends padded with zeros: {conv1d_centred(THETA, X)}")
    say("conv2d.valid", "image I       filter K      I ∗ K")
    for line in beside(I, K, example_conv2d()):
        print(" " * 21 + line)


def passes_of_a_network() -> None:
    x, y = [1.0, 2.0], [1.0]
    z, a = forward(NETWORK, x)
    _, delta = passes(NETWORK, x, y)
    nabla = backprop(NETWORK, x, y)
    print("\nA 2-2-1 network of sigmoids, one instance x = [1, 2], y = 1 (lines 194–217, 1524–1548)")
    for l in (1, 2):
        say("net.z", f"z^({l + 1}) = {vector(z[l + 1])}")
        say("net.a", f"a^({l + 1}) = {vector(a[l + 1][1:])}" + ("   = ŷ" if l == 2 else ""))
    say("loss.xent", f"L(y, ŷ) = {cross_entropy(y[0], a[3][1]):+.4f}   as printed: the log-likelihood, ≤ 0")
    say("bp.delta.out", f"δ^(3) = y − a^(3) = {vector(delta[3])}")
    say("bp.delta.rec", f"δ^(2) = {vector(delta[2])}")
    for l in (1, 2):
        for i in range(1, len(nabla[l])):
            say("bp.grad", f"∂L/∂Θ_{i}j^({l}), j = 0 …  {vector(nabla[l][i])}")


def signs() -> None:
    print("\nTwo signs are printed; 200 steps of one neuron on x = 1, y = 1, η = 1 (lines 686, 1542, 1562)")
    for id, output, verdict in (("bp.delta.out", delta_out, "learns the wrong class"),
                                ("alg.delta.out", alg_delta_out, "learns the right class")):
        yhat = trained([None, [None, [0.0, 0.0]]], output)
        say(id, f"ŷ: 0.5 → {yhat:.4f}   negative log-likelihood: {cross_entropy_negated(1.0, 0.5):.4f} → "
                f"{cross_entropy_negated(1.0, yhat):.4f}   {verdict}")


def trained(Theta: Network, output: object) -> Scalar:
    for _ in range(200):
        Theta = gd(Theta, backprop(Theta, [1.0], [1.0], output=output), 1.0)
    return forward(Theta, [1.0])[1][2][1]


def averages() -> None:
    data = [([1.0, 2.0], [1.0]), ([-1.0, 0.5], [0.0])]
    lam = 0.1
    D = averaged_gradient(NETWORK, data, lam)
    print(f"\nThe averaged, regularised gradient over {len(data)} instances, λ = {lam} (lines 1552–1574)")
    for l in (1, 2):
        for i in range(1, len(D[l])):
            say("alg.average", f"D_{i}j^({l}), j = 0 …  {vector(D[l][i])}")
    alone = average([None, [0.0] * 3], [None, [1.0] * 3], lam, 1)[1]
    say("alg.average", f"λ alone (Δ = 0, Θ = 1):        {vector(alone)}   the intercept has none")
    say("loss.objective", f"its λ‖Θ‖² has the gradient 2λΘ: {vector([2 * lam] * 3)}   twice, intercept too")


def counts() -> None:
    print("\nCounts (lines 253–276, 1669–1717, 2025–2031)")
    say("fc.params", f"n² = {fc_params(5)} weights for n = 5")
    say("local.params", f"3n − 2 = {local_params(5)}, and shared 3 (conv1d.params)")
    net, lenet = (parameters(build(shapes, repeat(0))) for shapes in (NET, LENET))
    say("torch.net", f"{net:,} parameters (lenet: {lenet:,})")
    say("claim.fc16e9", f"{fc_claim():,}")
    say("claim.local40e6", f"{local_claim():,}")


def main() -> None:
    readable()
    print("chainrule.reference: the deck's worked examples, computed literally\n")
    convolutions()
    passes_of_a_network()
    signs()
    averages()
    counts()
    print(f"\n{len(FUNCTIONS)} ids have a function: chainrule.reference.FUNCTIONS[id]")


if __name__ == "__main__":
    main()
