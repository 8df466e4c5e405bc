"""tinygrad's activations, their derivatives by its own autograd, and its cross entropy.

    chainrule conform tinygrad_backend:backend

Its PYTHON device needs no compiler, so this runs anywhere; it rounds float32 as any other device does.
"""

from functools import partial

from tinygrad import Context, Tensor

from chainrule.conformance import Backend

backend = Backend("tinygrad", array="numpy", dtypes=["fp32"], readings={
    "act.relu": "NaN skipped", "act.sigmoid.prime": "from its output", "act.tanh.prime": "from its output"})
G = {"sigmoid": Tensor.sigmoid, "tanh": Tensor.tanh, "relu": Tensor.relu, "elu": Tensor.elu,
     "leaky": lambda z, slope=0.1: z.leaky_relu(slope)}


def value(g, z, **parameter):
    with Context(DEV="PYTHON"):
        return g(Tensor(z), **parameter).numpy()


def prime(g, z, **parameter):
    with Context(DEV="PYTHON"):
        z = Tensor(z)
        return g(z, **parameter).sum().gradient(z)[0].numpy()


for name, g in G.items():
    backend.op(f"act.{name}")(partial(value, g))
    backend.op(f"act.{name}.prime")(partial(prime, g))


@backend.op("loss.xent.logits")
def cross_entropy(z, y):
    with Context(DEV="PYTHON"):
        z, y = Tensor(z), Tensor(y)
        loss = z.binary_crossentropy_logits(y, reduction="none")
        return loss.numpy(), loss.sum().gradient(z)[0].numpy()
