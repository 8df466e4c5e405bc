"""Mutants of the reference that compute the same, each with the reason."""

from __future__ import annotations

ODD = "m is odd here, so ⌊m/2⌋ = ⌊(m − 1)/2⌋"
CROSSED = "Σ(x_i + μ)(x_i − μ) = Σx_i² − nμ² = Σ(x_i − μ)²"

EQUIVALENT: dict[str, str] = {
    "convolution.conv1d_centred: m - 1 → m - 0": ODD,
    "layers.reach: m - 1 → m - 0": ODD,
    "convolution.conv2d_layer:  for f in range(F) →  for f in range(F + 1)": "one entry more that nothing reads",
    "losses.huber: where(away <= c, away * away / 2, c * (away - c / 2)) → "
    "where(away < c, away * away / 2, c * (away - c / 2))": "at the border both branches are c²/2",
    "optimizers.clip: where(norm(D) > c, lambda: c / norm(D), 1) → where(norm(D) >= c, lambda: c / norm(D), 1)":
        "at the border c/‖D‖ is 1",
    "lists.shape: inner[0] → inner[-1]": "all entries are known to be equal there",
    "normalization.variance: (x_i - mu) * (x_i - mu) → (x_i + mu) * (x_i - mu)": CROSSED,
    "normalization.variance: (x_i - mu) * (x_i - mu) → (x_i - mu) * (x_i + mu)": CROSSED,
}
