"""The one place where commands' errors become text and an exit code."""

import errno
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from aiev.core.errors import FILE_OR_DIRECTORY, UserError, hint_for

INTERRUPTED = 130  # 128 + SIGINT, as shells count
CLOSED_PIPE = 141  # 128 + SIGPIPE

# What the user can fix: no space, no permission, a file in the place of a directory.
OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
OF_THE_MACHINE += FILE_OR_DIRECTORY


def handle_errors(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `command`, called `name` in messages, so that no exception leaves it as a traceback.

    UserError: its text and its exit code; a full disk, a missing permission or a file in the place
    of a directory likewise, 2.
    Ctrl-C: one line, 130. A reader that went away, as `head` does: nothing, 141. Anything else is a
    defect of the program: a short message, and the traceback in a file that it names, 1.
    """

    @functools.wraps(command)
    def handled(*arguments: Any, **options: Any) -> Any:
        try:
            result = command(*arguments, **options)
            sys.stdout.flush()
            return result
        except UserError as error:
            _say(f"{name}: {error}")
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            _say(f"{name}: interrupted; run the same command again to continue")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # Python flushes stdout once more at exit, and would complain there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(CLOSED_PIPE) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
                hint = f"{hint_for(error)}, then run the command again"
                mistake = UserError(str(error.strerror), where=error.filename, hint=hint)
                _say(f"{name}: {mistake}")
                raise typer.Exit(mistake.exit_code) from None
            _say(f"{name}: {_describe_defect(error)}")
            raise typer.Exit(1) from None

    return handled


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _describe_defect(error: Exception) -> str:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    folder = Path(".aiev") if Path(".aiev").is_dir() else Path(tempfile.gettempdir())
    path = folder / f"traceback-{os.getpid()}.log"
    try:
        path.write_text(traceback.format_exc(), "utf-8")
    except OSError:  # no space, or no permission: then the screen is all that is left
        return f"a defect of this program: {what}\n{traceback.format_exc()}"
    return (
        f"a defect of this program: {what}\n"
        f"  where: the traceback is in {path}\n"
        "  hint: please report it with that file; nothing that was finished is lost"
    )
