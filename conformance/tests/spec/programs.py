"""Printed programs over GF(2⁶¹ − 1): words of torch and JAX act on field numbers, C's double is a class of them.

The program itself is the printed one, letter for letter but for its imports, and in C for the name of the number type.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from types import SimpleNamespace

from chainrule.spec.derive import languages, pages
from chainrule.spec.dual import Dual, P, constant


class Words:
    """torch, jax.numpy, jax.scipy.special and math, on field numbers and nested lists."""

    float64 = None
    exp, log, sqrt, tanh, sin, cos, erf, erfc = (
        staticmethod(lambda x, name=name: getattr(constant(x), name)())
        for name in ("exp", "log", "sqrt", "tanh", "sin", "cos", "erf", "erfc"))

    @property
    def pi(self):
        return constant(1).pi()

    @property
    def special(self):
        return self

    def where(self, condition, one, other):
        return one if condition else other

    def as_tensor(self, part, dtype):
        return part

    asarray = as_tensor

    def stack(self, parts):
        return parts

    def zeros_like(self, part):
        """Slot 0, which no index names."""


def in_words(derivation, framework):
    """The function that the program for torch or JAX defines, over the field."""
    program, words = re.sub(r"^import .*\n", "", languages.code(derivation, framework), flags=re.M), Words()
    space = {"math": words, "torch": words, "jnp": words, "jax": SimpleNamespace(scipy=words)}
    exec(compile(program, f"<{derivation.id}>", "exec"), space)
    return space[pages.function_name(derivation.id)]


# ---- C

ELEMENT = r"""
struct Element {
    unsigned long v; double w;
    static const unsigned long P = (1UL << 61) - 1;
    Element() {}
    Element(long n) : v(n < 0 ? P - (unsigned long)(-n) % P : (unsigned long)n % P), w((double)n) {}
    Element(unsigned long v, double w) : v(v), w(w) {}
    explicit operator long() const { return (long)v; }
    Element operator-() const { return Element((P - v) % P, -w); }
};
typedef void (*Formal)(int, Element *, Element *, Element *);
static Formal formal;
extern "C" void use(Formal given) { formal = given; }
static Element call(int which, Element a, Element b = Element(0L)) { Element r; formal(which, &a, &b, &r); return r; }
static Element operator+(Element a, Element b) { return Element((a.v + b.v) % Element::P, a.w + b.w); }
static Element operator-(Element a, Element b) { return a + -b; }
static Element operator*(Element a, Element b) { return Element((unsigned __int128)a.v * b.v % Element::P, a.w * b.w); }
static Element operator/(Element a, Element b) { return call(0, a, b); }
static Element &operator+=(Element &a, Element b) { return a = a + b; }
static bool operator<(Element a, Element b) { return a.w < b.w; }
static bool operator>(Element a, Element b) { return a.w > b.w; }
static bool operator<=(Element a, Element b) { return a.w <= b.w; }
static bool operator>=(Element a, Element b) { return a.w >= b.w; }
static bool operator==(Element a, Element b) { return a.v == b.v; }
static bool operator!=(Element a, Element b) { return a.v != b.v; }
static Element fmax(Element a, Element b) { return a.w >= b.w ? a : b; }
static Element fmin(Element a, Element b) { return a.w <= b.w ? a : b; }
static Element fabs(Element a) { return a.w >= 0 ? a : -a; }
static Element pow(Element a, Element b) { return call(1, a, b); }
static Element acos(Element a) { return call(2, a); }
"""
NAMES = ("exp", "log", "sqrt", "tanh", "sin", "cos", "erf", "erfc")
ELEMENT += "".join(f"static Element {name}(Element a) {{ return call({k}, a); }}\n" for k, name in enumerate(NAMES, 3))


class Element(ctypes.Structure):
    """A field number as C++ has it: the number and the witness that decides comparisons."""

    _fields_ = (("v", ctypes.c_ulong), ("w", ctypes.c_double))

    @classmethod
    def of(cls, number):
        number = constant(number)
        return cls(number.v % P, number.w)

    @property
    def number(self):
        return Dual(self.v, 0, self.w)


FORMAL = ctypes.CFUNCTYPE(None, ctypes.c_int, *[ctypes.POINTER(Element)] * 3)


def _power(a, b):
    """u^v, where v is a whole number if its witness is."""
    return a**int(b.w) if b.w == int(b.w) and (constant(int(b.w)) == b) else a**b


OPERATIONS = (lambda a, b: a / b, _power, lambda a, b: a.pi(),
              *(lambda a, b, name=name: getattr(a, name)() for name in NAMES))


@FORMAL
def _formal(which, a, b, result):
    result[0] = Element.of(OPERATIONS[which](a[0].number, b[0].number))


def in_c(derivations, folder, compiler):
    """All C programs as one library of C++, its number type that of the field; each with its arrays and sizes."""
    parts, known = [languages.HEAD, ELEMENT], {}
    for derivation in derivations:
        program, arrays, sizes = languages.in_c(derivation)
        body = program.removeprefix(languages.HEAD).replace("void ", 'extern "C" void ', 1).replace("double", "Element")
        body = re.sub(r"\b(\d+)\.0\b", r"Element(\1L)", body).replace("= malloc(", "= (Element *)malloc(")
        parts.append(body)
        known[derivation.id] = arrays, sizes
    (folder / "all.cpp").write_text("\n".join(parts), encoding="utf-8")
    subprocess.run([compiler, "-O0", "-w", "-shared", "-fPIC", str(folder / "all.cpp"), "-o", str(folder / "all.so")],
                   check=True)
    library = ctypes.CDLL(str(folder / "all.so"))
    library.use(_formal)
    return library, known
