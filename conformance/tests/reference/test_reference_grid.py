"""Convolution layers and max pooling agree exactly with torch on integers, for every small geometry there is.

H, W ≤ 7, k ≤ 4, stride ≤ 3, padding ≤ 2, dilation ≤ 2, vertical and horizontal chosen apart: 178,929 convolutions and
65,025 poolings. A fixed tenth runs always, all of them in the slow test.
"""

import random
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from chainrule.reference.convolution import conv2d_layer
from chainrule.reference.pooling import maxpool, maxpool_index

SIDES = [(n, k, s, p, d) for n, k, s, p, d in product(range(1, 8), range(1, 5), range(1, 4), range(3), range(1, 3))
         if d * (k - 1) + 1 <= n + 2 * p]
POOLED = [side for side in SIDES if 2 * side[3] <= side[1]]     # torch pads a pool by at most half a window
DRAW = random.Random(5)


def integers(rows, columns, largest):
    return [[DRAW.randint(-largest, largest) for _ in range(columns)] for _ in range(rows)]


IMAGE, FILTER, TIED = integers(7, 7, 9), integers(4, 4, 5), integers(7, 7, 2)


def cut(x, rows, columns):
    return [row[:columns] for row in x[:rows]]


def geometries(sides, keep):
    """(size, k, stride, padding, dilation) as pairs (vertical, horizontal); `keep` says which residues of ten."""
    for (a, vertical), (b, horizontal) in product(enumerate(sides), enumerate(sides)):
        if (a + b) % 10 in keep:
            yield tuple(zip(vertical, horizontal))


def convolutions_differ(keep, layer=conv2d_layer):
    """How many were compared, and the geometries that differ."""
    done, differing = 0, []
    for size, k, stride, padding, dilation in geometries(SIDES, keep):
        done += 1
        x, K = cut(IMAGE, *size), cut(FILTER, *k)
        mine = layer([x], [[K]], [11], stride, padding, dilation)
        theirs = F.conv2d(torch.tensor([[x]]).double(), torch.tensor([[K]]).double(), torch.tensor([11.0]).double(),
                          stride, padding, dilation)
        if mine != theirs[0].tolist():
            differing.append((size, k, stride, padding, dilation))
    return done, differing


def poolings_differ(keep):
    done, differing = 0, []
    for size, k, stride, padding, dilation in geometries(POOLED, keep):
        done += 1
        x = cut(TIED, *size)
        value, index = F.max_pool2d(torch.tensor([x]).double(), k, stride, padding, dilation, return_indices=True)
        if torch.isinf(value).any():                            # a window wholly in the padding, which we refuse
            with pytest.raises(ValueError, match="wholly in the padding"):
                maxpool(x, k, stride, padding, dilation)
        elif (maxpool(x, k, stride, padding, dilation) != value[0].tolist()
              or maxpool_index(x, k, stride, padding, dilation) != index[0].tolist()):
            differing.append((size, k, stride, padding, dilation))
    return done, differing


def test_a_tenth_of_all_convolutions():
    assert convolutions_differ(keep={3}) == (17894, [])


def test_a_tenth_of_all_poolings():
    assert poolings_differ(keep={3}) == (6504, [])


@pytest.mark.slow
def test_all_convolutions():
    assert convolutions_differ(keep=range(10)) == (178929, [])


@pytest.mark.slow
def test_all_poolings():
    assert poolings_differ(keep=range(10)) == (65025, [])


@pytest.mark.parametrize(("channels", "filters", "groups"), [(1, 3, 1), (2, 2, 2), (4, 6, 2), (4, 4, 4), (6, 3, 3)])
def test_channels_and_groups(channels, filters, groups):
    x = [integers(5, 6, 9) for _ in range(channels)]
    K = [[integers(3, 2, 5) for _ in range(channels // groups)] for _ in range(filters)]
    mine = conv2d_layer(x, K, None, (2, 1), (1, 2), (1, 2), groups)
    theirs = F.conv2d(torch.tensor([x]).double(), torch.tensor(K).double(), None, (2, 1), (1, 2), (1, 2), groups)
    assert mine == theirs[0].tolist()


def test_the_comparison_can_fail():
    done, differing = convolutions_differ({3}, lambda *how: conv2d_layer(*how[:-1], 1))
    assert 0 < len(differing) < done
