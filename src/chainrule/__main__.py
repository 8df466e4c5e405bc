"""`python -m chainrule` is the console script."""

from .cli import main

main()
