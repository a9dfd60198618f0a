"""A model's thoughts, which are no part of its answer: never scored, run, or trained on.

Thoughts stand between tags. A server whose chat template opens them in the prompt sends the closing
tag alone; an answer that was cut off while the model was thinking has the opening tag alone. A tag
that is quoted, or in fenced code, is text about the tag: code that reads such answers is an answer
too.
"""

import bisect
import re
from dataclasses import dataclass

_KIND = r"(?:think(?:ing)?|thoughts?|reasoning)"
_NAMES = (
    rf"(?:(?:[a-z0-9]{{1,12}}[_:-])?{_KIND}|antthinking|analysis|reflection|scratchpad"
    r"|inner_monologue|reasoning_content|chain[_-]of[_-]thought|cot)"
)
_BAR = "[|\uff5c]"
_GAP = "[_\u2581]"
_EDGE = rf"<{_BAR}?(?:{{0}}{_GAP}(?:of{_GAP})?{_KIND}|{_KIND}{_GAP}{{0}}){_BAR}?>"
"""Of `<|begin_of_thought|>` and `<think_start>`."""

_OPENING = re.compile(
    rf"<{_BAR}?{_NAMES}(?:\s[^<>\n]*)?{_BAR}?>|{_EDGE.format('(?:begin|start)')}"
    r"|\[think\]|\[(?-i:THINKING|REASONING|THOUGHTS?)\]|◁think▷|<unused94>(?:thought)?"
    r"|(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<\n]*<\|message\|>",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"<{_BAR}?/\s*{_NAMES}\s*{_BAR}?>|{_EDGE.format('end')}"
    r"|\[/think\]|\[/(?-i:THINKING|REASONING|THOUGHTS?)\]|◁/think▷|<unused95>"
    r"|(?:<\|start\|>assistant)?<\|channel\|>final[^<\n]*<\|message\|>",
    re.IGNORECASE,
)
"""DeepSeek-R1, Qwen3, Seed, Reflection; Sky-T1; Command A; Magistral; Kimi; MedGemma; and gpt-oss,
whose last channel is the answer."""

_BARE_CHANNELS = re.compile(r"\A\s*analysis(?=\S).*?assistantfinal", re.DOTALL)
"""gpt-oss from a server that leaves its special tokens out."""

_WRAPPING = re.compile(
    rf"\A\s*(?:<\|(?:begin_of_solution|start_response)\|>|<{_NAMES}\s*/>)"
    r"|<\|(?:end_of_solution|end_response|return|end)\|>\s*\Z",
    re.IGNORECASE,
)
_WRAPPED = re.compile(
    r"\s*<\|?((?:final_)?answer|response|output)\|?>(.*)<\|?/\1\|?>\s*", re.IGNORECASE | re.DOTALL
)
"""What some of them put around the answer itself. A line with `<answer>` alone would begin a block
of HTML, in which Markdown sees no fence."""

_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.MULTILINE)


def final_text(text: str) -> str:
    """The answer without the model's thoughts; one that has none is returned as it is.

    Of an answer whose thoughts were cut off nothing is left.
    """
    answer = _Reader(_BARE_CHANNELS.sub("", text)).read()
    answer = _WRAPPING.sub("", answer)
    if wrapped := _WRAPPED.fullmatch(answer):
        answer = wrapped[2]
    return text if answer == text else answer.strip()


@dataclass
class _Reader:
    """Reads an answer from tag to tag. kept: of the text so far. since: where the answer may have
    begun, after the thoughts that were found. about: the end of the last opening tag that was text
    about the tag. fences, counted: how many fences there are from `since` to `counted`."""

    text: str
    kept: str = ""
    since: int = 0
    about: int = 0

    def __post_init__(self) -> None:
        self.fences = [fence.start() for fence in _FENCE.finditer(self.text)]

    def read(self) -> str:
        position = 0
        start, end = _OPENING.search(self.text), _CLOSING.search(self.text)
        while True:
            # Searched anew only behind a tag that was read: an answer may hold many.
            if start and start.start() < position:
                start = _OPENING.search(self.text, position)
            if end and end.start() < position:
                end = _CLOSING.search(self.text, position)
            if end and (not start or end.start() < start.start()):
                self.kept += self.text[position : end.end()]
                if not self._is_text(end):
                    self.kept = ""  # all before a closing tag alone is thought
                    self.since = end.end()
                position = end.end()
            elif start and self._is_text(start):
                self.kept += self.text[position : start.end()]
                self.about = start.end()
                position = start.end()
            elif start:
                self.kept += self.text[position : start.start()]
                position = self.since = end.end() if end else len(self.text)
            else:
                return self.kept + self.text[position:]

    def _is_text(self, tag: re.Match[str]) -> bool:
        """Whether a tag is text about the tag: quoted, in fenced code, or the partner of one that
        was, on the same line."""
        text, first = self.text, tag.start()
        before, after = text[max(first - 1, 0) : first], text[tag.end() : tag.end() + 1]
        quoted = bool(before) and before in "`'\""
        if tag.re is _OPENING:
            return quoted or self._fenced(tag)
        if quoted and (after == before or before == "`"):
            return True
        if self.about > self.since and text.find("\n", self.about, first) < 0:
            return True
        if not self._fenced(tag):
            return False
        # Thoughts may end within a fence that they left open: then the tag has a line of its own.
        line = text[text.rfind("\n", 0, first) + 1 : first]
        alone = not line.strip() and after in ("", "\n", "\r")
        closed = (len(self.fences) - self._fences_before(first)) % 2 == 1
        return not alone or closed or self.about > self.since

    def _fenced(self, tag: re.Match[str]) -> bool:
        before = self._fences_before(tag.start()) - self._fences_before(self.since)
        return before % 2 == 1

    def _fences_before(self, position: int) -> int:
        return bisect.bisect_left(self.fences, position)
