"""Number types the unchanged reference runs over. The formulas know none of them.

`lanes` arrays of many cases at once · `bounded` numbers that know how wrong a kernel may be · `counting`
numbers that count · `symbolic` SymPy expressions · `multiprecision` mpmath's mpf. Fractions and the exact
field need no module here. Importing `symbolic`, `multiprecision` or `lanes` registers that type with
`chainrule.scalar`.
"""
