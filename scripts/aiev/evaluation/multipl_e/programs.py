"""Complete programs of MultiPL-E: prompt, what a model wrote, tests, and a mark at their end.

A program that leaves before its tests have run exits with 0 too. So the tests end by printing a
word that nobody can know beforehand, and only a program that printed it has passed.
"""

from aiev.evaluation.benchmarks.base import Task
from aiev.languages.markdown import fenced

PRINTS = {
    "cpp": 'std::cout << "\\n{mark}" << std::endl;',
    "java": 'System.out.println("\\n{mark}");',
    "js": 'console.log("\\n{mark}");',
    "php": 'echo "\\n{mark}";',
    "rs": 'println!("\\n{mark}");',
    "ts": 'console.log("\\n{mark}");',
}
"""Statement that prints the mark on a line of its own."""

ENDS = {"cpp": 1, "java": 2, "rs": 1}
"""Closing braces behind the last test."""


def program_of(task: Task, solution: str, mark: str) -> str:
    """The program that decides about a solution: complete, or to be followed by the tests.

    mark: a word that the program prints once all its tests have passed.
    """
    tests = task["tests"].rstrip()
    whole = solution.rstrip()
    if task["language"] == "php":
        whole = whole.removesuffix("?>").rstrip()
    before = whole[: -len(tests)] if whole.endswith(tests) else f"{solution}\n"
    return before + _marked(tests, task["language"], mark)


def printed(stdout: str, mark: str) -> bool:
    """Whether the program reached the end of its tests."""
    return stdout.rstrip("\n").rpartition("\n")[2] == mark


def _marked(tests: str, language: str, mark: str) -> str:
    statement = PRINTS[language].replace("{mark}", mark)
    at = len(tests)
    for _ in range(ENDS.get(language, 0)):
        at = tests.rindex("}", 0, at)
    return f"{tests[:at]}\n{statement}\n{tests[at:]}\n"


def solution_of(answer: str, task: Task, fences: tuple[str, ...]) -> str:
    """Prompt and completion by a chat model's answer; "" without code.

    What follows the signature counts, up to the first stop token, as where a model completes the
    prompt. Without the signature all of the block is the function's body.
    """
    blocks = fenced(answer)
    own = [block for block in blocks if block.language in fences] or blocks
    if not own:
        return ""
    text = own[0].text
    signature = task["prompt"].rstrip().rpartition("\n")[2]
    _, found, body = text.partition(signature)
    return task["prompt"] + cut(body.removeprefix("\n") if found else text, task["stop_tokens"])


def cut(completion: str, stop_tokens: list[str]) -> str:
    """The completion up to the first stop token."""
    ends = [at for token in stop_tokens if (at := completion.find(token)) >= 0]
    return completion[: min(ends, default=len(completion))]
