"""Kernels over an exact field: every float of a simulated kernel carries an element of GF(2⁶¹ − 1) beside it.

Sums and products of elements are exact and division inverts, so a kernel and its equation agree in every element or
they are different functions; a wrong rational kernel passes with a probability of at most its degree / 2⁶¹. The float
beside the element decides comparisons and nothing else. What this cannot see: rounding, overflow, precision.

    algebra     residues in NumPy: modulo 2⁶¹ − 1, and modulo the order of a subgroup, where exponents live
    constants   which element a float stands for
    elements    the array that a kernel computes with: floats and their elements
    memory      what elements stand in memory
    scalars     the number that the reference computes with
    judging     kernel against reference
"""
