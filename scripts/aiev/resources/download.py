"""Downloads over HTTP that go on where a broken connection has stopped (RFC 9110, 14)."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from aiev.core.log import log

CHUNK = 1 << 20
PATIENCE = 10.0
"""Seconds to wait for a connection, or for the next byte, before a server counts as silent."""
MAX_EMPTY = 4
"""Connections in a row that bring nothing new, after which a download is given up."""
PAUSE = 1.0
"""Seconds before a broken connection is opened again; doubled each time that it brings nothing."""

BROKEN = (OSError, http.client.HTTPException)
"""What a connection that fails raises; an answer that is an error, too."""


def download(url: str, start: int = 0) -> Iterator[bytes]:
    """Bytes of a URL from the byte `start` on.

    After a broken connection the next one asks for the rest. Of a server that sends the whole file
    again, the known part is skipped. Raises ValueError for another scheme than HTTP, one of BROKEN
    where the first connection fails, or later ones bring nothing.
    """
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"only http and https are fetched, not {url}")
    received, empty = start, 0
    while True:
        before = received
        try:
            for chunk in _rest(url, received):
                received += len(chunk)
                yield chunk
            return
        except BROKEN as error:
            empty = 0 if received > before else empty + 1
            if received == start or empty == MAX_EMPTY or _is_final(error):
                raise
            log.info("connection broken after %d bytes, opened again: %s", received, error)
        time.sleep(PAUSE * 2**empty)


def _rest(url: str, start: int) -> Iterator[bytes]:
    """The bytes from `start` on that one connection brings. Raises one of BROKEN where it ends
    before its answer does."""
    request = urllib.request.Request(url)
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if start and error.code == 416:  # there is no byte after those
            return
        raise
    with answer:
        place = _first_byte(answer) if start else 0
        if place > start:
            raise http.client.HTTPException(f"sent bytes from {place} on, and not from {start}")
        length = answer.headers.get("Content-Length")
        read = 0
        while chunk := answer.read(CHUNK):
            read += len(chunk)
            if new := chunk[max(0, start - place) :]:
                yield new
            place += len(chunk)
        # A connection that the server closes too early looks like the end of the file.
        if length is not None and length.isdecimal() and read < int(length):
            raise http.client.IncompleteRead(b"", int(length) - read)


def _first_byte(answer: http.client.HTTPResponse) -> int:
    """Which byte of the file the answer begins with: 0 where the server ignores ranges."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    span = answer.headers.get("Content-Range", "").removeprefix("bytes").strip()
    first = span.partition("-")[0]
    if not first.isdecimal():
        raise http.client.HTTPException(f"sent a part without its place: {span!r}")
    return int(first)


def _is_final(error: BaseException) -> bool:
    """Whether the server has answered, and another request would get the same answer."""
    return isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500
