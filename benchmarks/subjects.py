"""What a GPU is asked, one line a subject: the problem at its size, how much it matters, and against whom."""

from __future__ import annotations

import attrs
import torch

from . import problems as of
from . import problems_images as img
from . import problems_more as more
from . import problems_neighbours as near
from . import problems_networks as networks
from . import problems_norms as norms
from .peers import PEERS, USUAL
from .problems import Problem

FP32 = torch.float32
LOSSES = (*USUAL, "liger")
STEPS = ("eager", "compile")
IMAGES = ("eager", "channels_last", "compile channels_last")
LAST = ("channels_last", "compile channels_last")
OPTIMIZERS = ("eager", "foreach")
PARITY = ("eager", "flag_gems")         # where torch's compiler calls what eager calls
NEIGHBOURS = ("eager", "dense", "compile")


@attrs.frozen
class Subject:
    """Priority 1 is what claims rest on, 2 the breadth, 3 where parity is all one can hope for."""

    id: str
    problem: Problem = attrs.field(repr=False)
    priority: int = 2
    peers: tuple[str, ...] = USUAL
    phase: str = "measure"

    @property
    def seconds(self) -> float:
        """An estimate: preparing, checking and timing every implementation."""
        return 2.0 + sum(PEERS[name].seconds + 0.5 for name in self.peers if not PEERS[name].missing())


_WAYS = (("convolution", img.convolution), ("∂x", img.into_x), ("D of filters", img.into_w))
#: The layers of a residual network, the deck's second convolution: priority, images, channels, side, filters, stride.
_LAYERS = ((2, 128, 64, 56, 64, 1), (2, 128, 128, 28, 128, 1), (2, 128, 256, 14, 256, 1), (2, 128, 512, 7, 512, 1),
           (3, 128, 64, 56, 128, 2), (3, 256, 6, 15, 16, 1))

SUBJECTS = (
    Subject("layer sigmoid 65536 x 784 -> 512", of.layer(65536, 784, 512, "sigmoid"), 1),
    Subject("layer relu 8192 x 1024 -> 4096", of.layer(8192, 1024, 4096), 1),
    Subject("layer relu 8192 x 4096 -> 4096", of.layer(8192, 4096, 4096), 3, PARITY),
    Subject("layer relu 4096 x 1024 -> 1024 fp32", of.layer(4096, 1024, 1024, dtype=FP32), 3, PARITY),
    Subject("delta 65536 x 784 <- 512", of.delta(65536, 784, 512), 1),
    Subject("delta 8192 x 4096 <- 1024", of.delta(8192, 4096, 1024), 1),
    Subject("delta 8192 x 4096 <- 4096", of.delta(8192, 4096, 4096), 3, PARITY),
    Subject("average 256, 4096 x 4096", of.average(256, 4096, 4096), 2),
    Subject("average 8192, 4096 x 4096", of.average(8192, 4096, 4096), 3, PARITY),
    Subject("D and step 256, 4096 x 4096", of.descent(256, 4096, 4096), 1),
    Subject("D and momentum 256, 4096 x 4096", of.descent(256, 4096, 4096, "momentum"), 1),
    Subject("D and momentum 8192, 4096 x 4096", of.descent(8192, 4096, 4096, "momentum"), 3, PARITY),
    Subject("softmax 8192 x 32000", of.softmax(8192, 32000), 1, LOSSES),
    Subject("softmax 4096 x 128256", of.softmax(4096, 128256), 2, LOSSES),
    Subject("softmax 65536 x 1000", of.softmax(65536, 1000), 1, LOSSES),
    Subject("softmax 60000 x 10 fp32", of.softmax(60000, 10, FP32), 2, LOSSES),
    Subject("logits 8192 x 4096 fp32", of.logits(8192, 4096), 1),
    Subject("sigmoid 2^27", of.activation(2**27, "sigmoid"), 2),
    Subject("tanh 2^27", of.activation(2**27, "tanh"), 3, PARITY),
    Subject("convolution 3x3 relu 32 x 64 x 56 x 56 -> 64", img.convolution(32, 64, 56, 64), 1, IMAGES),
    Subject("convolution 5x5 relu pooled 256 x 6 x 14 x 14 -> 16",
            img.convolution(256, 6, 14, 16, "relu", 5, pool=True), 2, IMAGES),
    Subject("convolution 3x3 relu pooled 256 x 1 x 32 x 32 -> 6", img.convolution(256, 1, 32, 6, pool=True), 2, IMAGES),
    Subject("convolution 3x3 relu pooled 128 x 64 x 32 x 32 -> 64", img.convolution(128, 64, 32, 64, pool=True), 1,
            IMAGES),
    Subject("max pool 2x2 128 x 64 x 112 x 112", img.pooling(128, 64, 112), 3, LAST),
    Subject("conv1d of 5 taps, 2^25 fp32", img.signal(5, 2**25), 3, STEPS),
    *(Subject(f"{what} 3x3{'/2' * (stride == 2)} {B} x {C} x {side} x {side} -> {F}",
              make(B, C, side, F, stride=stride), priority, LAST)
      for priority, B, C, side, F, stride in _LAYERS for what, make in _WAYS),
    Subject("local layer of 9 relu 8192 x 4096", near.local(8192, 4096, 9), 2, NEIGHBOURS),
    Subject("shared layer of 9 relu 8192 x 4096", near.shared(8192, 4096, 9), 2, NEIGHBOURS),
    Subject("D of a local layer of 9, 8192 x 4096", near.local_weights(8192, 4096, 9), 2, STEPS),
    Subject("D of a shared layer of 9, 8192 x 4096", near.shared_weights(8192, 4096, 9), 2, STEPS),
    Subject("batch norm 64 x 256 x 56 x 56", norms.forward(64, 256, 56), 1, IMAGES),
    Subject("∂ batch norm 64 x 256 x 56 x 56", norms.backward(64, 256, 56), 1, IMAGES),
    Subject("sgd 2^26 fp32", more.optimizer("sgd", 2**26), 3, OPTIMIZERS),
    Subject("momentum 2^26 fp32", more.optimizer("momentum", 2**26), 3, OPTIMIZERS),
    Subject("adagrad 2^26 fp32", more.optimizer("adagrad", 2**26), 2, ("eager",)),
    Subject("adam 2^26 fp32", more.optimizer("adam", 2**26), 3, OPTIMIZERS),
    Subject("adamw 2^26 fp32", more.optimizer("adamw", 2**26), 3, OPTIMIZERS),
    Subject("lamb 2^26 fp32", more.optimizer("lamb", 2**26), 2, ("timm",)),
    Subject("step 784-128-10, n = 128 fp32", of.step((784, 128, 10), 128), 1, STEPS, "steps"),
    Subject("step 784-256-128-10, n = 64 fp32", of.step((784, 256, 128, 10), 64), 1, STEPS, "steps"),
    Subject("step 4096-4096-4096-4096, n = 256 fp32", of.step((4096,) * 4, 256), 1, STEPS, "steps"),
    Subject("step Net, n = 64 fp32", networks.images(3, 64), 2, STEPS, "steps"),
    Subject("step LeNet, n = 64 fp32", networks.images(5, 64), 2, STEPS, "steps"),
    Subject("step residual block 64 x 64 x 56 x 56", networks.residual(64, 64, 56), 2, STEPS, "steps"),
)

BY_ID = {subject.id: subject for subject in SUBJECTS}
