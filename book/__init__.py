"""The book: one page per equation, made from the records, the derivations, the reference and the kernels.

`chainrule book -o build/book` writes it; the pages need no network, no server, and (but for search) no script.
"""
