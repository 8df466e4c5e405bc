"""What the sanitizer raises."""

from __future__ import annotations


class KernelFault(AssertionError):
    """A kernel did something that a GPU would not forgive, or would forgive only by chance.

    `check` names the rule that was broken, `kernel` and `program` the place, `argument` the tensor argument.
    """

    def __init__(self, message: str, *, check: str = "", argument: str = "") -> None:
        super().__init__(message)
        self.check = check
        self.argument = argument
        self.kernel = ""
        self.program: tuple[int, ...] = ()

    def at(self, kernel: str, program: tuple[int, ...]) -> KernelFault:
        """The same fault, placed: the innermost kernel and program that know of it win."""
        if not self.kernel:
            self.kernel, self.program = kernel, program
            where = f"{kernel}, program {program}"
            self.args = (f"{where}: {self.args[0]}",)
        return self
