"""Errors that a user reads: what is wrong, where, and what to do."""

import errno

FILE_OR_DIRECTORY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
"""Errors of a file in the place of a directory, or the other way round."""


def hint_for(error: OSError) -> str:
    """What a user can do about a file that cannot be written."""
    if error.errno in FILE_OR_DIRECTORY:
        return "a file is where a directory is needed, or the other way round: move it away"
    return "free some space or fix the permissions"


class UserError(Exception):
    """A mistake or a state of the machine that the user can fix.

    A main prints it without a traceback and exits with `exit_code`.

    message: what is wrong, with the offending value.
    where:   file, key or row.
    hint:    what to do about it.
    """

    exit_code = 2

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None):
        super().__init__(message)
        self.message, self.where, self.hint = message, where, hint

    def __str__(self) -> str:
        lines = [self.message]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class EndpointError(UserError):
    """A model server failed, after retries; the answers that it gave are kept."""

    exit_code = 3


class BudgetError(UserError):
    """The next call to a model could pass the run's budget; the answers so far are kept."""

    exit_code = 4
