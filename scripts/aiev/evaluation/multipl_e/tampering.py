"""What keeps a solution from changing what the tests compare with.

The tests of MultiPL-E run in the solution's own program, so that it can redefine what they use.
C++'s macros are taken back before the tests, JavaScript's assertions are frozen
(`languages/toolchains/js.py`), PHP's comparison is part of the language. Elsewhere a solution that
redefines a name of the tests, or equality itself, is refused. This reads text and no program: who
writes code against it gets by.
"""

import re

from aiev.evaluation.benchmarks.base import Task

WORD = re.compile(r"[A-Za-z_]\w*")
NO_CODE = re.compile(r"'(?:\\.|[^'\\\n])'" r'|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
OF_ASSERT = {"bool", "static_cast", "void", "__assert_fail"}
"""Words in the expansion of C's assert."""
NOT_UNDEFINED = {"defined", "__VA_ARGS__", "__has_include"}
"""Words that C++ does not let be undefined."""
OWN_REQUIRE = r"(?<!declare )\b(?:function|const|let|var|class)\s+require\b|\brequire\s*=(?!=)"
SCRIPT = rf"{OWN_REQUIRE}|^test\s*=(?![=>])"
REFUSED = {
    "cpp": r"\boperator\s*==|\b__assert_fail\b",
    "java": r"\bboolean\s+equals\s*\(|\b(?:class|interface|enum|record)\s+(?:{types})\b"
    r"|\b(?:{types})\s*[=;]",
    "js": SCRIPT,
    "rs": r"\bmacro_rules!\s*(?:{words})\b|\bPartialEq\s*<"
    r"|\b(?:struct|enum|type|trait|mod|union)\s+(?:{words})\b"
    r"|\buse\s+(?!(?:::)?(?:std|core|alloc)::)[^;]*\b(?:{words})\b"
    r"|\buse\s[^;]*\bas\s+(?:{words})\b",
    "ts": SCRIPT,
}
"""By language. words: those of the tests but for the function's name; types: the capitalised."""


def refusal(code: str, task: Task) -> str:
    """What a solution without its tests may not hold, as it stands there; "" where all is well."""
    words = set(WORD.findall(_code(task["tests"])))
    words -= set(WORD.findall(task["prompt"].rstrip().rpartition("\n")[2].partition("(")[0]))
    types = {word for word in words if word[0].isupper()}
    pattern = REFUSED.get(task["language"], r"(?!)")
    for name, own in (("{words}", words), ("{types}", types)):
        pattern = pattern.replace(name, "|".join(sorted(own)) or r"(?!)")
    refused = re.compile(pattern, re.MULTILINE)
    # The prompt of some tasks has an operator of its own.
    found, allowed = (refused.findall(_code(text)) for text in (code, task["prompt"]))
    return found[-1] if len(found) > len(allowed) else ""


def guard(task: Task) -> str:
    """Lines in front of the tests: in C++ no word of theirs is a macro, and assert is C's."""
    if task["language"] != "cpp":
        return ""
    words = sorted((set(WORD.findall(task["tests"])) | OF_ASSERT) - NOT_UNDEFINED)
    lines = [f"#undef {word}" for word in ("NDEBUG", *words)]
    return "\n".join([*lines, "#include <cassert>", ""])


def _code(text: str) -> str:
    """The text without its comments and quoted texts."""
    return NO_CODE.sub(" ", text)
