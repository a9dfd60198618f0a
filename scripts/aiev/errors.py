"""Errors that a user reads: what is wrong, where, and what to do."""


class UserError(Exception):
    """A mistake or a state of the machine that the user can mend.

    A main prints it without a traceback and exits with `exit_code`.

    what:  what is wrong, with the offending value.
    where: file, key or row.
    todo:  what to do about it.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, todo: str | None = None):
        super().__init__(what)
        self.what, self.where, self.todo = what, where, todo

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.todo:
            lines.append(f"  to do: {self.todo}")
        return "\n".join(lines)


class EndpointError(UserError):
    """A model server failed, after retries; the answers that it gave are kept."""

    exit_code = 3


class BudgetError(UserError):
    """The next call to a model could pass the run's budget; the answers so far are kept."""

    exit_code = 4
