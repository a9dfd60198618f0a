"""A model's thoughts, which are no part of its answer: never scored, run, or trained on.

Thoughts stand between tags. A server whose chat template opens them in the prompt sends the closing
tag alone; an answer that was cut off while the model was thinking has the opening tag alone. A tag
that is quoted, or in fenced code, is text about the tag: code that reads such answers is an answer
too.
"""

import re
from dataclasses import dataclass

_NAMES = "|".join(
    (
        *("think", "thinking", "thought", "thoughts", "reasoning", "analysis", "reflection"),
        *("scratchpad", "inner_monologue", "seed:think", "mm:think", "longcat_think"),
        *("ant_thinking", "antthinking", "reasoning_content"),
    )
)
_WRITTEN = r"<\|?(?:{0})\s*\|?>|<\|(?:begin_of_thought|start_thinking)\|>|\[think\]|◁think▷"
_OPENING = re.compile(
    _WRITTEN.format(_NAMES)
    + r"|<unused94>(?:thought)?|<\|channel\|>(?:analysis|commentary)[^<\n]*<\|message\|>",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"<\|?/\s*(?:{_NAMES})\s*\|?>|<\|(?:end_of_thought|end_thinking)\|>|\[/think\]|◁/think▷|<unused95>"
    r"|<\|channel\|>final[^<\n]*<\|message\|>",
    re.IGNORECASE,
)
"""DeepSeek-R1, Qwen3, Seed, Reflection; Sky-T1; Command A; Magistral; Kimi; MedGemma; and gpt-oss,
whose last channel is the answer."""

_WRAPPING = re.compile(
    r"\A\s*<\|(?:begin_of_solution|start_response)\|>"
    r"|<\|(?:end_of_solution|end_response|return|end)\|>\s*\Z",
    re.IGNORECASE,
)
"""What some of them put around the answer itself."""

_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.MULTILINE)


def final_text(text: str) -> str:
    """The answer without the model's thoughts; one that has none is returned as it is.

    Of an answer whose thoughts were cut off nothing is left.
    """
    answer = _Reader(text).read()
    return text if answer == text else _WRAPPING.sub("", answer).strip()


@dataclass
class _Reader:
    """Reads an answer from tag to tag. kept: of the text so far. since: where the answer may have
    begun, after the thoughts that were found. about: the end of the last opening tag that was text
    about the tag. fences, counted: how many fences there are from `since` to `counted`."""

    text: str
    kept: str = ""
    since: int = 0
    about: int = 0
    fences: int = 0
    counted: int = 0

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
        # Thoughts may end within a fence that they left open: then the tag has a line of its own.
        line = text[text.rfind("\n", 0, first) + 1 : first]
        alone = not line.strip() and after in ("", "\n", "\r")
        return self._fenced(tag) and (not alone or self.about > self.since)

    def _fenced(self, tag: re.Match[str]) -> bool:
        if self.counted < self.since:
            self.fences, self.counted = 0, self.since
        self.fences += sum(1 for _ in _FENCE.finditer(self.text, self.counted, tag.start()))
        self.counted = tag.start()
        return self.fences % 2 == 1
