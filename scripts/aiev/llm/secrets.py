"""Keys: taken from the environment in one way, and kept out of everything that is written or shown.

Servers repeat a key in their errors, whole, cut off, percent-encoded or as Python's repr. So text
that comes from a server is redacted: each form of the key, and of a long key each piece of it.
"""

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from aiev.core.errors import UserError

REDACTED = "[key]"

MIN_SECRET = 8
"""Characters of the shortest key that is redacted. A shorter one is a placeholder for a server that
wants no key ("x", "none"); replacing it would garble errors."""

_NO_KEY = re.compile(
    r"(?:(?:sk|no|not|none|null|empty|keys?|api|apikey|needed|need|required?|requires|necessary"
    r"|un(?:used|defined|set)|default|dummy|fake|placeholder|any|anything|whatever|nothing"
    r"|something|ignored|local|localhost|ollama|vllm|lm|studio|lmstudio|llama|cpp|llamacpp"
    r"|llamafile|tgi|is|an?|the|here|your|my|insert|change|me|changeme)(?:[-_.](?!\Z)|\Z))+",
    re.IGNORECASE,
)
"""Words of which people make up keys for servers that want none: llama.cpp's page says
`sk-no-key-required`. Replaced in answers, `anything` and `required` would ruin them."""

MIN_PIECE = 8
"""Characters of a piece of a long key that is redacted."""

MIN_LONG = 16
"""Characters of a key of which pieces are redacted, too."""


def secret_from_environment(variable: str) -> str:
    """Value of an environment variable without the white space around it; "" when it is not set.

    A key that was read from a file often ends in a line end, which HTTP libraries refuse with an
    error that shows the key. Raises UserError, which does not show it, for a value with white
    space, control or non-ASCII characters inside.
    """
    value = os.environ.get(variable, "").strip()
    wrong = sorted({_name(c) for c in value if not "!" <= c <= "~"})
    if wrong:
        raise UserError(
            f"not an API key: it holds {', '.join(wrong)} (the value is not shown)",
            where=f"environment variable {variable}",
            hint="copy the key again, without quotes, line breaks or other text",
        )
    return value


def _name(character: str) -> str:
    if character.isspace():
        return "white space"
    return "a character that is not ASCII" if ord(character) > 127 else "a control character"


class Redactor:
    """Replaces secrets in text, in every form in which a server or a library may show them."""

    def __init__(self, secrets: Iterable[str]):
        found = {s for s in secrets if len(s) >= MIN_SECRET and not _NO_KEY.fullmatch(s)}
        forms = {form for s in found for form in (*_forms(s), *_codes(s))}
        forms |= {code for s in found if len(s) >= MIN_LONG for code in _codes(s[:MIN_PIECE])}
        self._whole = sorted(forms, key=len, reverse=True)
        long = [form for s in found if len(s) >= MIN_LONG for form in _forms(s)]
        self._pieces = {piece for form in long for piece in _pieces(form)}

    def redact(self, text: str) -> str:
        """The text with `REDACTED` in place of each secret."""
        for form in self._whole:
            text = text.replace(form, REDACTED)
        if not self._pieces:
            return text
        found: list[str] = []
        position = covered = 0
        while position < len(text):
            if text[position : position + MIN_PIECE] in self._pieces:
                if position >= covered:
                    found.append(REDACTED)
                covered = position + MIN_PIECE
            if position >= covered:
                found.append(text[position])
            position += 1
        return "".join(found)


def _pieces(form: str) -> Iterator[str]:
    return (form[i : i + MIN_PIECE] for i in range(len(form) - MIN_PIECE + 1))


def _forms(secret: str) -> set[str]:
    """The secret as it is, and as errors, URLs and headers spell it."""
    percent = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    # Every character, too: some libraries encode those that need no encoding.
    percent.add("".join(f"%{byte:02X}" for byte in secret.encode()))
    escaped = {repr(secret)[1:-1], repr(secret.encode())[2:-1], json.dumps(secret)[1:-1]}
    escaped |= {json.dumps(secret, ensure_ascii=False)[1:-1], secret.replace("/", "\\/")}
    escaped |= {json.dumps(text)[1:-1] for text in escaped}  # JSON within JSON
    percent |= {quote(text) for text in percent}  # a URL within a URL
    percent |= {re.sub("%..", lambda match: match[0].lower(), text) for text in percent}
    pages = {html.escape(secret), html.escape(secret, quote=False)}
    pages |= {text.replace("&#x27;", "&#39;").replace("&quot;", "&#34;") for text in pages}
    escaped |= pages | {text.replace("&#x27;", "&apos;") for text in pages}
    # Only what is no letter or digit, as .NET and Go write "+" and "&" in JSON.
    for code in _CODES:
        for kept in ("", "-_.~"):
            escaped.add("".join(_coded(c, code, kept) for c in secret))
    escaped |= {secret.lower(), secret.upper()}
    return {secret, *percent, *escaped, *_base64(secret.encode())}


def _codes(text: str) -> Iterator[str]:
    """The text with a code for each of its characters. A piece of it would be two or three
    characters, which an answer may hold that has nothing to do with a secret."""
    for code in (*_CODES, "{0:02x}", "{0:02X}"):
        yield "".join(code.format(byte) for byte in text.encode())


_CODES = (
    "&#{0};",
    "&#x{0:x};",
    "&#x{0:X};",
    "\\u{0:04x}",
    "\\u{0:04X}",
    "\\x{0:02x}",
    "\\x{0:02X}",
)


def _coded(character: str, code: str, kept: str) -> str:
    plain = character.isalnum() or character in kept
    return character if plain else code.format(ord(character))


def _base64(data: bytes) -> Iterator[str]:
    """What of a base64 text depends on `data` alone, wherever it stands in the encoded bytes."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * before + data).decode()
            # The first and the last characters hold bits of the neighbours.
            start, end = (0, 2, 3)[before], len(text) - (4 if text.endswith("=") else 0)
            yield text[start:end]
            if not before:
                yield text
