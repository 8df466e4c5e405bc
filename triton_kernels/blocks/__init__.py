"""@jit helpers that any kernel may call: exponentials, elementwise walks, sums in a fixed order."""
