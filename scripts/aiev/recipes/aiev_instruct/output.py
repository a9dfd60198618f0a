"""What a dialogue shows of a program's run."""


def ends(text: str, limit: int) -> str:
    """The ends of a long output, of about `limit` characters: a traceback says where at its end,
    what ran at its start."""
    text = text.rstrip()
    if len(text) <= limit:
        return text
    return f"{text[: limit // 4]}\n[...]\n{text[-(limit - limit // 4) :]}"
