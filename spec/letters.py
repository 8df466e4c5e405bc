"""How a name of a record or a derivation is written: theta is θ and \\theta."""

from __future__ import annotations

GREEK = {
    "theta": "θ", "Theta": "Θ", "delta": "δ", "Delta": "Δ", "gamma": "γ", "beta": "β", "mu": "μ", "alpha": "α",
    "eta": "η", "epsilon": "ε", "sigma": "σ", "tau": "τ", "rho": "ρ",
}
NAMES = {                                        # Python name: (LaTeX, Unicode)
    "lam": (r"\lambda", "λ"),
    "eps": (r"\varepsilon", "ε"),
    "yhat": (r"\hat{y}", "ŷ"),
    "xhat": (r"\hat{x}", "x̂"),
    "beta1": (r"\beta_1", "β₁"), "beta2": (r"\beta_2", "β₂"),
    "S2": ("S'", "S′"), "R2": ("R'", "R′"), "D2": ("D'", "D′"),
    "slope": ("s", "s"),
    "ℒ": (r"\mathcal{L}", "ℒ"),
}


def latex_name(name: str) -> str:
    """The LaTeX of a name: theta is \\theta."""
    if name in NAMES:
        return NAMES[name][0]
    return "\\" + name if name in GREEK else name


def plain_name(name: str) -> str:
    """The Unicode of a name: theta is θ."""
    return NAMES[name][1] if name in NAMES else GREEK.get(name, name)
