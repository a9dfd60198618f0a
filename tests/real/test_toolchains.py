"""Each language's own compiler in the sandbox: the right passes, the rest is told apart."""

import re
import shutil

import answers_of_models
import pytest
import tampering_answers
from needs import unavailable

from aiev.evaluation.benchmarks.base import ScoringLimits, open_benchmark
from aiev.languages.toolchains import TOOLCHAINS
from aiev.sandbox.api import open_sandbox

pytestmark = pytest.mark.real

TASKS = {
    "cpp": (
        "#include <bits/stdc++.h>\nlong twice(long x) {\n",
        "}\nint main() {\n    assert(twice(2) == (4));\n}\n",
    ),
    "java": (
        "class Problem {\n    public static long twice(long x) {\n",
        "    }\n    public static void main(String[] args) {\n    assert(twice(2) == 4);\n    }\n\n"
        "}\n",
    ),
    "js": (
        "function twice(x){\n",
        "const assert = require('node:assert');\nassert.deepEqual(twice(2),4);",
    ),
    "php": (
        "<?php\nfunction twice($x) {\n",
        'if (twice(2) !== 4) { throw new Exception("no"); }',
    ),
    "rs": (
        "fn twice(x: isize) -> isize {\n",
        "}\n\nfn main() {\n    assert_eq!(twice(2), 4);\n}\n",
    ),
    "ts": (
        "function twice(x: number): number {\n",
        "declare var require: any;\nconst assert = require('node:assert');\n"
        "assert.deepEqual(twice(2),4);",
    ),
}
CLOSED = {"js", "php", "ts"}
"""Languages whose solution closes its function itself."""

BODIES = {
    "passed": dict.fromkeys(["cpp", "java", "js", "rs", "ts"], "return 2 * x;")
    # ctype is an extension that Debian's PHP loads by its configuration.
    | {"php": "return ctype_alpha('a') ? 2 * $x : 0;"},
    "failed": dict.fromkeys(["cpp", "java", "js", "rs", "ts"], "return x + 1;")
    | {"php": "return 3;"},
    "leaves": {
        "cpp": "exit(0);",
        "java": "System.exit(0); return 0;",
        "js": "process.exit(0);",
        "php": "exit(0);",
        "rs": "std::process::exit(0);",
        "ts": "require('node:process').exit(0); return 0;",
    },
    "timed-out": dict.fromkeys(["cpp", "js", "php", "ts"], "while (true) {}")
    | {"java": "while (x > 0) {} return 0;", "rs": "loop {}"},
    "compile-error": dict.fromkeys(["cpp", "java", "rs"], "return nothing(;"),
}


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.fixture(params=sorted(TASKS))
def language(request):
    toolchain = TOOLCHAINS.get(request.param)()
    if not all(shutil.which(program, path="/usr/bin") for program in toolchain.programs):
        unavailable(f"no {' '.join(toolchain.packages)}: make toolchains")
    return request.param


def test_outcomes_are_told_apart(language, sandbox):
    prompt, tests = TASKS[language]
    config = {"language": language, "run_seconds": 2}
    benchmark = open_benchmark(language, "multipl-e", config)
    wanted = {name: bodies[language] for name, bodies in BODIES.items() if language in bodies}
    tasks = [
        {"task_id": name, "language": language, "prompt": prompt, "tests": tests} for name in wanted
    ]
    end = "\n}\n" if language in CLOSED else "\n"
    solutions = {name: prompt + body + end for name, body in wanted.items()}
    verdicts = benchmark.judge(tasks, solutions, sandbox, ScoringLimits.of({}))
    outcomes = {name: verdict.outcome for name, verdict in verdicts.items()}
    assert outcomes == {name: {"leaves": "failed"}.get(name, name) for name in wanted}
    assert [name for name, verdict in verdicts.items() if verdict.base] == ["passed"]


def judged(language, solutions, sandbox):
    """Verdicts on programs for the problem of `answers_of_models.py`."""
    benchmark = open_benchmark(language, "multipl-e", {"language": language})
    problem = {"language": language, **answers_of_models.TASKS[language]}
    tasks = [{**problem, "task_id": name} for name in solutions]
    return benchmark.judge(tasks, solutions, sandbox, ScoringLimits.of({}))


def test_right_answers_of_any_layout_pass(language, sandbox):
    benchmark = open_benchmark(language, "multipl-e", {"language": language})
    task = {"language": language, **answers_of_models.TASKS[language]}
    answers = answers_of_models.ANSWERS[language]
    solutions = {layout: benchmark.extract(answer, task) for layout, answer in answers.items()}
    verdicts = judged(language, solutions, sandbox)
    assert {name: verdict.outcome for name, verdict in verdicts.items() if not verdict.base} == {}


def test_a_solution_that_changes_the_comparison_does_not_pass(language, sandbox):
    attacks = {name: text.lstrip() for name, text in tampering_answers.ATTACKS[language].items()}
    verdicts = judged(language, attacks, sandbox)
    assert [name for name, verdict in verdicts.items() if verdict.base] == []


def test_one_that_only_looks_like_it_passes(language, sandbox):
    solutions = {"honest": tampering_answers.HONEST[language].lstrip()}
    (verdict,) = judged(language, solutions, sandbox).values()
    assert verdict.outcome == "passed"


def test_each_program_of_a_toolchain_says_its_version(language, sandbox):
    found = TOOLCHAINS.get(language)().versions(sandbox)
    assert list(found) == list(TOOLCHAINS.get(language).programs)
    assert all(re.search(r"\d+\.\d+", said) for said in found.values()), found
