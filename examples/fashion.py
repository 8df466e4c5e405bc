"""Fashion-MNIST from the Debian package dataset-fashion-mnist; scikit-learn's digits where it is absent."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

FOLDER = Path("/usr/share/datasets/fashion-mnist")
FILES = tuple(f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))
CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
HOW = "apt-get update && apt-get install -y dataset-fashion-mnist, or --data FOLDER with " + ", ".join(FILES)


class Images(NamedTuple):
    """Images of 32 × 32 around mean 0 with spread 1, and their classes."""

    name: str
    classes: tuple[str, ...]
    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def idx(file: Path) -> Tensor:
    """An IDX file: two zeros, 8 for bytes, the number of sizes, the sizes as big-endian int32, the bytes."""
    try:
        raw = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as fault:
        raise ValueError(f"{file}: {fault}; fetch it again") from None
    zero, kind, dims = int.from_bytes(raw[:2], "big"), *raw[2:4].ljust(2, b"?")
    shape = [int.from_bytes(raw[4 + 4 * k : 8 + 4 * k], "big") for k in range(dims)]
    data = bytearray(raw[4 + 4 * dims :])
    if zero or kind != 8 or not data or len(data) != prod(shape):
        raise ValueError(f"{file}: not an IDX file of bytes; fetch it again")
    return torch.frombuffer(data, dtype=torch.uint8).view(shape)


def fashion(folder: Path = FOLDER) -> Images | None:
    """60,000 images to train with and 10,000 to test; None where a file is missing."""
    files = [folder / name for name in FILES]
    if not all(file.exists() for file in files):
        return None
    x, y, x_test, y_test = map(idx, files)
    return images("Fashion-MNIST", CLOTHES, x.float() / 255, y.long(), x_test.float() / 255, y_test.long())


def digits() -> Images:
    """1,437 digits to train with, 360 to test, 8 × 8 pixels enlarged by three."""
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    x = torch.tensor(pixels / 16, dtype=torch.float32).view(-1, 8, 8).repeat_interleave(3, 1).repeat_interleave(3, 2)
    y = torch.tensor(classes, dtype=torch.int64)
    return images("scikit-learn's digits", tuple("0123456789"), x[:1437], y[:1437], x[1437:], y[1437:])


def images(name: str, classes: tuple[str, ...], x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor) -> Images:
    """Zeros around to 32 × 32, then the training images' mean and spread taken out."""
    edge = (32 - x.shape[-1]) // 2
    wide, wide_test = (torch.nn.functional.pad(one, (edge,) * 4)[:, None] for one in (x, x_test))
    mean, spread = wide.mean(), wide.std()
    return Images(name, classes, (wide - mean) / spread, y, (wide_test - mean) / spread, y_test)
