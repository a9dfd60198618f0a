"""MultiPL-E's function in a chat model's answer, and what else of the answer it needs.

A chat model writes a file: imports, helper functions, the function in its own layout, perhaps a
main. The tests go on behind the prompt's function, in C++, Java and Rust before its closing brace.
So the answer is split into its top-level items, and put together anew: the prompt up to its
signature, the items that the function needs, and the function.
"""

import re
import textwrap
from collections.abc import Sequence

from aiev.evaluation.benchmarks.base import Task
from aiev.evaluation.multipl_e.programs import cut, is_left_open
from aiev.languages.markdown import fenced

STRICT = ("cpp", "java", "rs")
"""Languages whose top-level items end with ";" or "}", and whose quotes hold one character."""
TOKEN = re.compile(r"\w+|[^\w\s]")
TEXT = r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/'
NO_CODE = re.compile(TEXT + r"|'(?:\\[^\n]{1,9}?|[^'\\\n])'", re.DOTALL)
NO_CODE_LOOSE = re.compile(TEXT + r"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`", re.DOTALL)
TYPED = (
    r"^(?!\s|(?:return|else|if|while|for|new)\b)[\w:<>,&*\[\]?@. \t]*?"
    r"(?<![\w.]){name}\s*\([^;{{}}]*\{{"
)
SCRIPT = (
    r"^(?:export\s+)?(?:default\s+)?(?:async\s+)?function\s*\*?\s*{name}\b"
    r"|^(?:export\s+)?(?:const|let|var)\s+{name}\b[^;]*?="
)
DEFINITIONS = {
    "rs": r"^(?:pub(?:\([^)]*\))?\s+)?(?:(?:const|unsafe|async)\s+)*fn\s+{name}\b",
    "js": SCRIPT,
    "ts": SCRIPT,
    "php": r"^function\s+&?\s*{name}\s*\(",
}
"""Where a top-level item defines a function of that name; TYPED in all other languages."""
IN_TESTS = r"(?:const|let|var|import|function)\b[^\n=(]*\b(?:assert|test|candidate)\b"
LEFT_OUT = {
    "cpp": r"(?:int|void|auto|signed)\s+main\s*\(",
    "rs": r"(?:pub\s+)?(?:async\s+)?fn\s+main\s*\(",
    "java": r"(?:[\w\[\]]+\s+)*void\s+main\s*\(|package\s",
    "js": IN_TESTS,
    "ts": IN_TESTS,
    "php": r"function\s+(?:test|candidate)\b|namespace\s",
}
"""Items that the tests bring too, or that cannot stand in the program."""
SCRIPT_HELPERS = (
    r"(?:export\s+)?(?:async\s+)?(?:function|const|let|var|class|interface|type|enum)\b"
)
HELPERS = {
    "js": SCRIPT_HELPERS,
    "ts": SCRIPT_HELPERS,
    "php": r"(?:function|class|abstract|final|interface|trait|const)\b",
}
"""What of the items behind the function is kept where statements may stand at the top level."""
CLASS = re.compile(r"^(?:\w+[ \t]+)*class\s+(\w+)[^{;]*\{", re.MULTILINE)
TYPES = re.compile(r"(?:\w+[ \t]+)*(?:class|interface|enum|record)\s+\w+")


def solution_of(answer: str, task: Task, fences: Sequence[str]) -> str:
    """The program of an answer, up to the tests; "" without code. Runs nothing, never raises.

    Of several blocks the first that defines the function counts. Where none does, the first block
    is the function's body, up to the first stop token, as where a model completes the prompt.
    """
    blocks = fenced(answer)
    own = [block.text for block in blocks if block.language in fences]
    own = own or [block.text for block in blocks]
    if not own:
        return ""
    prompt, stop = task["prompt"], task["stop_tokens"]
    for text in own:
        if program := _Answer(text, task).program():
            return program
    signature = _signature(prompt.rstrip().rpartition("\n")[2])
    for text in own:
        if found := signature.search(text):
            return prompt + cut(_below(text[found.end() :]), stop)
    return prompt + cut(own[0], stop)


class _Answer:
    """A block of code, split at the function that a task asks for."""

    def __init__(self, text: str, task: Task):
        self.task, self.language = task, task["language"]
        self.prompt = task["prompt"]
        self.signature = self.prompt.rstrip().rpartition("\n")[2]
        self.preface = self.prompt[: len(self.prompt.rstrip()) - len(self.signature)]
        called = re.search(r"([\w$]+)\s*\(", self.signature)
        self.name = called[1] if called else ""
        self.outside: list[str] = []
        self.before: list[str] = []
        self.after: list[str] = []
        self.function = ""
        if self.name:
            self._split(text)

    def program(self) -> str:
        """The prompt up to its signature, what else is needed, and the function; "" without it."""
        if not self.function:
            return ""
        kept = [*self._kept(self.before), *self._kept(self.after, behind=True)]
        found = _signature(self.signature).search(self.function)
        if found:
            above = self.function[: self.function.rfind("\n", 0, found.start()) + 1]
            head, body = self.prompt[len(self.preface) :], _below(self.function[found.end() :])
        else:
            above, head, body = "", "", _not_exported(self.function)
        if found and self.language == "cpp" and all(map(_is_header, kept)):
            # At the top level it would make names such as `unique` ambiguous in the tests.
            body = "".join(f"{item}\n" for item in kept if item[:1] != "#") + body
            kept = [item for item in kept if item[:1] == "#"]
        function = above + head + body
        if is_left_open(self.task):
            function = _opened(function, self.language)
        return self._placed(kept, function.rstrip() + "\n")

    def _split(self, text: str) -> None:
        if self.language == "php":
            text = re.sub(r"^\s*<\?(?:php)?[ \t]*", "", text)
        items = _items(text, self.language)
        if self.language == "java":
            for number, item in enumerate(items):
                opening = CLASS.search(item)
                inner = opening and self._in_class(item, opening)
                if inner and self._take(_items(inner, self.language)):
                    self.outside = [*items[:number], *items[number + 1 :]]
                    return
        self._take(items)
        if self.language == "java":
            around = [*self.before, *self.after]
            self.outside = [each for each in around if _is_outside(each)]
            self.before = [each for each in self.before if not _is_outside(each)]
            self.after = [each for each in self.after if not _is_outside(each)]

    def _take(self, items: list[str]) -> bool:
        """Split at the item that defines the function; -> whether there is one."""
        pattern = DEFINITIONS.get(self.language, TYPED).format(name=re.escape(self.name))
        defines = re.compile(pattern, re.MULTILINE)
        number = next((n for n, item in enumerate(items) if defines.search(item)), None)
        if number is None:
            return False
        self.before, self.function, self.after = items[:number], items[number], items[number + 1 :]
        return True

    def _in_class(self, item: str, opening: re.Match) -> str:
        """What stands in a class of Java's, which gets the name of the prompt's."""
        inner = item[opening.end() : item.rindex("}") if "}" in item else None]
        wanted = CLASS.search(self.prompt)
        return re.sub(rf"\b{opening[1]}\b", wanted[1], inner) if wanted else inner

    def _kept(self, items: Sequence[str], behind: bool = False) -> list[str]:
        """Those of the items that the function may need."""
        left_out = re.compile(LEFT_OUT.get(self.language, r"(?!)"))
        helpers = re.compile(HELPERS.get(self.language, "") if behind else "")
        own = _words(self.prompt)
        return [
            _not_exported(item.rstrip())
            for item in items
            if not _is_comment(item, self.language)
            and _words(item) not in own
            and not left_out.match(item)
            and helpers.match(item)
            and not (behind and self._is_call(item))
        ]

    def _is_call(self, item: str) -> bool:
        """Whether a script's item tries the function out: `const found = f(3);`."""
        own = re.compile(rf"(?:const|let|var)\b.*\b{re.escape(self.name)}\s*\(", re.DOTALL)
        return bool(own.match(item)) and "=>" not in item and "function" not in item

    def _placed(self, kept: Sequence[str], function: str) -> str:
        """The program, each item where the language allows it."""
        text = "".join(f"{item}\n" for item in kept)
        if self.language in ("js", "ts"):
            return text + self.preface + function
        if self.language == "rs":
            return text + _without_twice_used(self.preface, kept) + function
        if self.language == "php":
            opening, tag, rest = self.preface.partition("<?php\n")
            return opening + tag + text + rest + function
        if self.language == "java":
            return self._around(self.preface) + text + function
        return self.preface + text + function

    def _around(self, preface: str) -> str:
        """Java's imports in front, and other classes before the prompt's."""
        outside = self._kept(self.outside)
        imports = "".join(f"{item}\n" for item in outside if item.startswith("import"))
        types = [item for item in outside if not item.startswith("import")]
        classes = "".join(f"{item.removeprefix('public ')}\n" for item in types)
        own = CLASS.search(preface)
        at = own.start() if own else 0
        return imports + preface[:at] + classes + preface[at:]


def _items(text: str, language: str) -> list[str]:
    """The top-level items of a program. One begins at a line that is not indented and closes
    nothing, once the item before is complete."""
    found: list[str] = []
    for line in textwrap.dedent(text).split("\n"):
        begins = line[:1] not in ("", " ", "\t", "}", ")", "]", "{")
        if begins and (not found or _is_complete(found[-1], language)):
            found.append(f"{line}\n")
        elif found:
            found[-1] += f"{line}\n"
    return found


def _is_complete(item: str, language: str) -> bool:
    text = item.strip()
    last = text.rpartition("\n")[2]
    if text.startswith("/*") and ("*/" not in text or text.endswith("*/")):
        return text.endswith("*/")
    if text.startswith(("//", "#")) and not text.startswith("#["):
        return not text.endswith("\\")
    if last.startswith("}"):
        return True
    return _is_balanced(text, language) and (
        language not in STRICT or _code(text, language).rstrip()[-1:] in (";", "}")
    )


def _code(text: str, language: str) -> str:
    """The text without its comments and quoted texts."""
    return (NO_CODE if language in STRICT else NO_CODE_LOOSE).sub("", text)


def _is_balanced(text: str, language: str) -> bool:
    code = _code(text, language)
    return sum(map(code.count, "{([")) <= sum(map(code.count, "})]"))


def _is_comment(item: str, language: str) -> bool:
    text = item.strip()
    if text.startswith("/*"):
        return text.find("*/") == len(text) - 2
    begins = "//" if language in (*STRICT, "js", "ts") else ("//", "#")
    return "\n" not in text and text.startswith(begins)


def _is_header(item: str) -> bool:
    return item.startswith(("#", "using namespace "))


def _is_outside(item: str) -> bool:
    """Whether an item of Java's stands outside of the class."""
    return item.startswith("import") or bool(TYPES.match(item))


def _opened(function: str, language: str) -> str:
    """A function without its closing brace, which the tests begin with; as it is where it was cut
    off."""
    last = function.rstrip().rpartition("\n")[2]
    closing = re.search(r"\}\s*(?://[^\n]*)?$", function.rstrip())
    closed = last.startswith("}") or _is_balanced(function, language)
    return function[: closing.start()] if closing and closed else function


def _words(text: str) -> str:
    """The tokens of a text without `std::`, each between blanks."""
    bare = re.sub(r"\bstd\s*::\s*", "", text)
    return f" {' '.join(TOKEN.findall(bare))} "


def _signature(line: str) -> re.Pattern:
    """Finds a signature in any layout: other white space, a comma behind the last parameter, and
    with `std::` or without."""
    tokens = _words(line).split()
    parts = [
        rf"(?:\bstd\s*::\s*)?\b{re.escape(token)}\b"
        if re.match(r"\w", token)
        else (r",?\s*\)" if token == ")" else re.escape(token))
        for token in tokens
    ]
    return re.compile(r"\s*".join(parts))


def _below(text: str) -> str:
    """What follows a signature, from the next line on."""
    return re.sub(r"^[ \t]*\n", "", text)


def _not_exported(item: str) -> str:
    return re.sub(r"^export\s+(?:default\s+)?", "", item)


def _without_twice_used(preface: str, kept: Sequence[str]) -> str:
    """Rust's prompt without the names that the answer imports too: twice is an error."""
    imports = " ".join(item for item in kept if item.startswith("use "))
    names = set(re.findall(r"\w+", imports))
    return "".join(
        line
        for line in preface.splitlines(keepends=True)
        if not (line.startswith("use ") and line.strip(" ;\n").rpartition("::")[2] in names)
    )
