"""What a dialogue shows of a program's run."""

from aiev.sandbox.request import Result

_SAYS = {
    "timed-out": "The program was stopped: it ran longer than the time limit.",
    "out-of-memory": "The program was stopped: it used more memory than the limit.",
    "crashed": "The program was killed by a signal.",
    "output-cut": "The program was stopped: it printed more than the limit.",
    "install-failed": "The packages could not be installed, and the program did not run.",
}


def error_text(result: Result) -> str:
    """What the interpreter says of a run that failed; stderr, and why it was stopped."""
    said = _SAYS.get(result.outcome, "")
    if not result.stderr.strip() and not said:
        said = f"The program ended with exit code {result.exit_code} and no message."
    return "\n".join(part for part in (result.stderr.strip("\n"), said) if part)


def ends(text: str, limit: int) -> str:
    """The ends of a long output, of about `limit` characters: a traceback says where at its end,
    what ran at its start."""
    text = text.rstrip()
    if len(text) <= limit:
        return text
    return f"{text[: limit // 4]}\n[...]\n{text[-(limit - limit // 4) :]}"
