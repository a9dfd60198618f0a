"""MultiPL-E: programs are put together, marked at their end, and read from answers; files that do
not fit are refused. tests/real/test_toolchains.py runs the compilers."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.base import (
    EvaluatorCrashed,
    ScoringLimits,
    Verdict,
    open_benchmark,
    published_benchmarks,
)
from aiev.evaluation.generate import Decoding, generate
from aiev.evaluation.multipl_e.answers import solution_of
from aiev.evaluation.multipl_e.programs import printed, program_of
from aiev.evaluation.multipl_e.tampering import guard, refusal
from aiev.evaluation.reach import reached
from aiev.evaluation.samples import check_programs, samples_of
from aiev.evaluation.scoring import host_facts, validate_canonical
from aiev.languages.toolchains import TOOLCHAINS
from aiev.llm.failures import UNANSWERABLE
from aiev.llm.responses import NO_ANSWER
from aiev.sandbox.api import Result, open_sandbox

TASKS = {
    "cpp": {
        "prompt": "#include <bits/stdc++.h>\n// Twice.\nlong twice(long x) {\n",
        "tests": "}\nint main() {\n    assert(twice(2) == 4);\n}\n",
        "stop_tokens": ["\n}"],
    },
    "java": {
        "prompt": "class Problem {\n    public static long twice(long x) {\n",
        "tests": "    }\n    public static void main(String[] args) {\n    assert(twice(2) == 4);\n"
        "    }\n\n}\n",
        "stop_tokens": ["\n    }\n"],
    },
    "php": {
        "prompt": "<?php\nfunction twice($x) {\n",
        "tests": "function test() {\n    if (twice(2) !== 4) { throw new Exception(); }\n}\n\n"
        "test();",
        "stop_tokens": ["\nfunction", "\n?>"],
    },
}


def task(language):
    return {"task_id": "T_1", "name": "T_1", "language": language, **TASKS[language]}


def test_the_mark_is_printed_behind_the_last_test_and_inside_of_main():
    solution = task("cpp")["prompt"] + "    return 2 * x;\n"
    cpp = program_of(task("cpp"), solution, TOOLCHAINS.get("cpp")(), "M")
    assert cpp.endswith('== 4);\n\nstd::cout << "\\nM" << std::endl;\n}\n')
    java = program_of(task("java"), "", TOOLCHAINS.get("java")(), "M")
    assert java.index("assert") < java.index('println("\\nM")') < java.rindex("}\n\n}")


@pytest.mark.parametrize("language", sorted(TASKS))
def test_a_complete_program_has_its_tests_once(language):
    own, chain = task(language), TOOLCHAINS.get(language)()
    whole = own["prompt"] + "\n" + own["tests"]
    closed = whole + "?>" if language == "php" else whole
    program = program_of(own, closed, chain, "M")
    assert program.count("twice(2)") == 1 and "?>" not in program
    assert program_of(own, own["prompt"], chain, "M").count("twice(2)") == 1


def test_tests_that_a_solution_only_quotes_are_added_all_the_same():
    own, chain = task("cpp"), TOOLCHAINS.get("cpp")()
    quoted = own["prompt"] + "/*" + own["tests"] + "*/ return 1;\n"
    assert program_of(own, quoted, chain, "M").count("twice(2)") == 2


@pytest.mark.parametrize(
    ("stdout", "right"),
    [("M\n", True), ("a\nM\n", True), ("a M\n", False), ("M\nb\n", False), ("", False)],
)
def test_only_the_last_line_is_the_mark(stdout, right):
    assert printed(stdout, "M") is right


@pytest.mark.parametrize(
    "answer",
    [
        "Sure:\n```cpp\nlong twice(long x) {\n    return 2 * x;\n}\nint main() {}\n```\n",
        "```\n    return 2 * x;\n```",
        "```cpp\n#include <cmath>\n```\n```cpp\nlong twice(long x) {\n    return 2 * x;\n}\n```",
        "```text\nno\n```\n```c++\nlong twice(long x) {\n    return 2 * x;\n}\n```",
    ],
)
def test_a_completion_is_taken_out_of_an_answer(answer):
    own = task("cpp")
    assert solution_of(answer, own, ("cpp", "c++")).rstrip() == own["prompt"] + "    return 2 * x;"


@pytest.mark.parametrize(
    ("code", "program"),
    [
        (
            "long twice( long x )\n{\n    return 2 * x;\n}",
            "#include <bits/stdc++.h>\n// Twice.\nlong twice(long x) {\n    return 2 * x;\n",
        ),
        (
            "#include <cmath>\nlong two() { return 2; }\nlong twice(long x) { return two() * x; }\n"
            "int main() { twice(1); }",
            "#include <bits/stdc++.h>\n// Twice.\n#include <cmath>\nlong two() { return 2; }\n"
            "long twice(long x) {\n return two() * x;\n",
        ),
        (
            "int twice(int number) {\n    return 2 * number;\n}",
            "#include <bits/stdc++.h>\n// Twice.\nint twice(int number) {\n"
            "    return 2 * number;\n",
        ),
        (
            "using namespace std;\nvector<long> unique(vector<long> x) { return x; }\n"
            "long twice(long x) { return x; }",
            "#include <bits/stdc++.h>\n// Twice.\nusing namespace std;\n"
            "vector<long> unique(vector<long> x) { return x; }\nlong twice(long x) {\n return x;\n",
        ),
        (
            "using namespace std;\nlong twice(long x) {\n    return max(x, 2);\n}",
            "#include <bits/stdc++.h>\n// Twice.\nlong twice(long x) {\nusing namespace std;\n"
            "    return max(x, 2);\n",
        ),
        (  # cut off: nothing is closed that the answer left open
            "long twice(long x) {\n    while (x) {\n        x--;\n    }\n",
            "#include <bits/stdc++.h>\n// Twice.\nlong twice(long x) {\n    while (x) {\n"
            "        x--;\n    }\n",
        ),
    ],
    ids=[
        *("another layout", "a program", "another signature"),
        *("names of std for a helper", "names of std for the function alone", "cut off"),
    ],
)
def test_a_function_of_any_layout_is_put_behind_the_prompt_with_what_it_needs(code, program):
    assert solution_of(f"```cpp\n{code}\n```", task("cpp"), ("cpp",)) == program


def test_a_method_at_the_margin_ends_where_it_is_closed():
    answer = "```java\npublic static long twice(long x) {\n    return 2 * x;\n}\n```"
    own = task("java")
    assert solution_of(answer, own, ("java",)) == own["prompt"] + "    return 2 * x;\n"


PIECES = ["twice(", "long x) {", "class A", "{", "}", "\n", "\n    ", "/*", "*/", "//", '"', "'"]
PIECES += ["<?php ", "fn ", "function ", "const twice = ", ";", "#", "import a", "main(", "é\x00"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.sampled_from(sorted(TASKS)))
def test_a_program_is_made_of_any_block_of_code(code, language):
    found = solution_of(f"```{language}\n{code}\n```", task(language), (language,))
    assert "twice" in found


NAMES_OF_TESTS = {
    "java": "assert(twice(2l).equals((new ArrayList<Long>(Arrays.asList(4l)))));",
    "rs": 'assert_eq!(candidate(String::from("macro")), vec![Some(4)]);',
    "js": "const assert = require('node:assert');\nfunction test() {}\ntest();",
    "cpp": "}\nint main() { assert(candidate(2) == (4)); }",
}


@pytest.mark.parametrize(
    ("language", "code", "refused"),
    [
        ("java", "class Arrays { }", "class Arrays"),
        ("java", "static Own Arrays = null;", "Arrays ="),
        ("java", "class Own { public boolean equals(Object o) {} }", "boolean equals("),
        ("java", "ArrayList<Long> found = new ArrayList<>(); // class Arrays", ""),
        ("rs", "macro_rules! vec { () => {} }", "macro_rules! vec"),
        ("rs", "macro_rules! hashmap { () => {} }", ""),
        ("rs", "struct String;", "struct String"),
        ("rs", "use own::Vec as String;", "use own::Vec as String"),
        ("rs", "use std::string::String;", ""),
        ("rs", "impl PartialEq for Own {}", ""),
        ("rs", "impl<'a> PartialEq<isize> for Own<'a> {}", "PartialEq<"),
        ("js", "var require = 1", "var require"),
        ("js", "test = () => {}", "test ="),
        ("js", "  let test; test = 3; const found = require('x')", ""),
        ("cpp", "bool operator ==(A, B)", "operator =="),
        ("cpp", """if (c == '"') x(); struct A { bool operator==(B); }; y('"');""", "operator=="),
        ("cpp", 'say("operator=="); // operator==\n/* operator== */', ""),
        ("php", "function test() {}", ""),
    ],
)
def test_a_solution_that_redefines_what_the_tests_use_is_refused(language, code, refused):
    own = {"language": language, "prompt": "twice(\n", "tests": NAMES_OF_TESTS.get(language, "")}
    assert refusal(code, own) == refused


def test_an_operator_of_the_prompt_s_own_is_none_of_the_solution_s():
    prompt = "struct A { bool operator==(long x); };\nA twice(long x) {\n"
    own = {"language": "cpp", "prompt": prompt, "tests": NAMES_OF_TESTS["cpp"]}
    assert refusal(prompt + "return A();", own) == ""
    assert refusal("bool operator==(A, A);\n" + prompt, own) == "operator=="


def test_macros_of_a_solution_end_before_the_tests():
    own = task("cpp")
    program = program_of(own, own["prompt"] + "    return 3;\n", TOOLCHAINS.get("cpp")(), "M")
    before, _, after = program.partition("#undef NDEBUG\n")
    assert before.rstrip().endswith("return 3;") and "#undef twice\n" in after
    assert after.index("#undef assert\n") < after.index("#include <cassert>\n}\nint main")
    assert guard(task("php")) == ""


def test_an_answer_without_code_has_an_empty_solution():
    assert solution_of("I cannot.", task("cpp"), ("cpp",)) == ""


def test_a_model_is_asked_for_a_function_in_the_language():
    opened = open_benchmark("m", "multipl-e", {"language": "java"})
    assert "Complete this Java function" in opened.prompt(task("java"))
    assert "```java\nclass Problem {" in opened.prompt(task("java"))


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([task("java")], "a problem in java, not in cpp"),
        ([{"task_id": "HumanEval/0", "prompt": ""}], "not a problem of MultiPL-E: no"),
        ([task("cpp")] * 2, "twice"),
        ([], "no problems"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, rows, word):
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=word):
        open_benchmark("m", "multipl-e", {"language": "cpp"}).load(path)


class Bare:
    """A sandbox without any toolchain."""

    def run(self, request):
        return Result(127, "failed", "", "g++: not found", {}, 0.1)


def test_a_missing_toolchain_is_named_with_the_packages_before_anything_is_asked(tmp_path):
    opened = open_benchmark("m", "multipl-e", {"language": "cpp"})
    path = tmp_path / "problems.jsonl"
    path.write_text(opened.dump([task("cpp")]))
    limits = ScoringLimits.of({})
    for early in (
        lambda: opened.prepare(path, Bare(), limits.limits),
        lambda: validate_canonical(opened, [task("cpp")], Bare(), limits, []),
        lambda: opened.judge([task("cpp")], {"T_1": ""}, Bare(), limits),
    ):
        with pytest.raises(UserError, match=r"no toolchain for C\+\+") as raised:
            early()
        assert "make toolchains" in raised.value.hint and "g++" in raised.value.hint


class Breaking:
    """A toolchain that works for its opening check, and then ends every step as it is told to.

    steps: of the check: the look for the programs, a compilation where there is one, a run.
    """

    def __init__(self, steps, broken):
        self.left, self.broken = steps, broken

    def run(self, request):
        self.left -= 1
        if self.left < 0:
            return self.broken
        return Result(0, "passed", "ready", "", {"built.tar": b"tar"}, 0.1)


@pytest.mark.parametrize(
    ("language", "steps", "broken"),
    [
        ("cpp", 3, Result(1, "failed", "", "g++: No space left on device", {}, 0.1)),
        ("php", 2, Result(1, "failed", "", "php: No space left on device", {}, 0.1)),
        ("php", 2, Result(None, "timed-out", "", "", {}, 0.1)),
        ("php", 2, Result(0, "passed", "", "", {}, 0.1)),
        ("php", 2, Result(139, "crashed", "", "", {}, 0.1)),
    ],
)
def test_a_toolchain_that_stops_to_work_is_an_error_and_no_score(language, steps, broken):
    opened = open_benchmark("m", "multipl-e", {"language": language})
    tasks = [{**task(language), "task_id": name} for name in ("T_1", "T_2")]
    with pytest.raises(EvaluatorCrashed) as raised:
        opened.judge(
            tasks,
            {"T_1": "", "T_2": ""},
            Breaking(steps, broken),
            ScoringLimits.of({}, parallel=1),
        )
    assert raised.value.where == "T_1" and broken.stderr in str(raised.value)


def test_a_solution_fails_where_the_toolchain_still_works():
    class Working:
        """Only the control is compiled."""

        def run(self, request):
            if "twice" in str(request.files.get("main.cpp")):
                return Result(1, "failed", "", "main.cpp:1: error", {}, 0.1)
            return Result(0, "passed", "ready", "", {"built.tar": b"tar"}, 0.1)

    opened = open_benchmark("m", "multipl-e", {"language": "cpp"})
    verdicts = opened.judge([task("cpp")], {"T_1": "?"}, Working(), ScoringLimits.of({}))
    assert verdicts["T_1"].outcome == "compile-error" and not verdicts["T_1"].base


CPP = open_benchmark("m", "multipl-e", {"language": "cpp"})
WHOLE = f"{TASKS['cpp']['prompt']}return 2 * x;\n{TASKS['cpp']['tests']}"


def test_the_files_that_multipl_e_writes_hold_samples():
    completions = {"name": "T_1", "prompt": "?", "completions": ["return x;", "return 2 * x;"]}
    results = {"name": "T_1", "results": [{"program": WHOLE, "status": "OK"}], "completions": ["?"]}
    for rows, found in (
        ([completions], [TASKS["cpp"]["prompt"] + each for each in completions["completions"]]),
        ([results], [WHOLE]),
        ([{"name": "T_1", "program": WHOLE}], [WHOLE]),
        ([{"task_id": "T_1", "completions": ["?"], "solution": "x"}], ["x"]),
    ):
        samples = [("place", each) for row in rows for each in CPP.samples(row)]
        assert samples_of(samples, [task("cpp")], "f", len(found)) == {"T_1": found}


@pytest.mark.parametrize(
    "row",
    [
        {"name": "T_1", "results": ["no"]},
        {"name": "T_1", "results": [{}]},
        {"name": "T_1", "completions": [None]},
        {"name": "T_1", "completions": 3},
        {"name": ["T_1"], "completions": ["x"]},
    ],
)
def test_rows_of_multipl_e_that_hold_no_sample_are_refused(row):
    samples = [("place", each) for each in CPP.samples(row)]
    with pytest.raises(UserError, match=r"no solution for T_1|without task_id") as raised:
        samples_of(samples, [task("cpp")], "f")
    assert raised.value.where == "place"


def test_programs_with_the_tests_of_another_file_are_counted_and_named():
    """They would get these tests, too, and be no program any more."""
    tasks = [{**task("cpp"), "task_id": f"T_{number}"} for number in range(3)]
    other = WHOLE.replace("== 4", "== 5")
    programs = enumerate((WHOLE, other, other))
    rows = [("place", {"task_id": f"T_{n}", "program": each}) for n, each in programs]
    check_programs(CPP, rows[:1], tasks, "f")
    check_programs(CPP, [("place", {"task_id": "T_0", "solution": other})], tasks, "f")
    with pytest.raises(
        UserError, match="tests are not those of this benchmark's file: 2, "
    ) as raised:
        check_programs(CPP, rows, tasks, "f")
    assert raised.value.message.endswith("T_1") and raised.value.where == "f"
    closed = f"{TASKS['php']['prompt']}}}\n{TASKS['php']['tests']}\n?>\n"
    opened = open_benchmark("m", "multipl-e", {"language": "php"})
    assert not opened.of_other_tests([{"task_id": "T_1", "program": closed}], [task("php")])


@pytest.mark.parametrize("language", ["swift", "mine.py", None, ["cpp"]])
def test_a_file_of_a_language_that_is_not_known_is_named(tmp_path, language):
    """A path in a file from elsewhere runs nothing."""
    path = tmp_path / "problems.jsonl"
    path.write_text(json.dumps({**task("java"), "language": language}) + "\n")
    with pytest.raises(UserError, match="in no language that is known here") as raised:
        type(CPP).config_of(path)
    assert raised.value.where == str(path)
    path.write_text(json.dumps(task("java")) + "\n")
    assert type(CPP).config_of(path) == {"language": "java"}


def test_what_parses_is_known_of_compiled_languages_alone():
    tasks = [{**task("cpp"), "task_id": f"T_{number}"} for number in range(3)]
    solutions = {"T_0": "x", "T_1": "y", "T_2": ""}
    outcomes = ("failed", "compile-error", "compile-error")
    verdicts = {f"T_{n}": Verdict(False, outcome=each) for n, each in enumerate(outcomes)}
    found = reached(CPP, tasks, solutions, verdicts)
    assert (found["code"]["correct"], found["parses"]["correct"], found["runs"]) == (2, 1, None)
    for language in ("js", "php"):
        opened = open_benchmark("m", "multipl-e", {"language": language})
        found = reached(opened, tasks, solutions, verdicts)
        assert (found["code"]["correct"], found["parses"], found["runs"]) == (2, None, None)


@pytest.mark.parametrize("reason", NO_ANSWER)
def test_the_beginning_of_a_function_is_no_code_of_a_model_that_did_not_answer(reason):
    class Silent:
        async def complete(self, messages, **how):
            raise UNANSWERABLE[reason]("none")

    style = CPP.style("completion")
    (row,) = asyncio.run(generate(Silent(), [task("cpp")], style, Decoding(64)))
    assert (row["solution"], row["finish_reason"]) == ("", reason)
    assert row["prefill"].endswith(TASKS["cpp"]["prompt"])


def test_an_upgrade_of_a_compiler_changes_the_facts_of_a_validation():
    class Upgraded:
        def __init__(self, version):
            self.version = version

        def run(self, request):
            assert "javac --version" in request.command[-1]
            return Result(0, "passed", f"javac {self.version}\nopenjdk 17\n", "", {}, 0.1)

    java = open_benchmark("m", "multipl-e", {"language": "java"})
    old, new = (java.versions(Upgraded(version)) for version in ("17.0.1", "17.0.2"))
    assert old == {"javac": "javac 17.0.1", "java": "openjdk 17"}
    assert host_facts(java, "e", old) != host_facts(java, "e", new)


def test_users_find_each_language_by_its_name():
    assert {f"multipl-e-{language}" for language in ("cpp", "java", "js", "php", "rs", "ts")} < set(
        published_benchmarks()
    )


SHELL = '''
"""A language in a file of its own: the shell."""
from aiev.languages.toolchains import base


class Toolchain(base.Toolchain):
    title = "Shell"
    fences = ("sh", "bash")
    packages = ("dash",)
    programs = ("sh",)
    source = "main.sh"
    run = "exec sh -e main.sh"
    control = "echo ready"
    prints = "printf '\\n%s\\n' {mark}"
'''
IN_SHELL = {
    "prompt": "# Twice.\ntwice() {\n",
    "tests": "}\ntest $(twice 2) = 4\n",
    "stop_tokens": ["\n}"],
}
ANSWERS = {
    "echo $((2 * $1))": "passed",
    "echo $((3 * $1))": "failed",
    "exit 0": "failed",
    "I cannot": "failed",
}


def test_a_language_of_one_file_outside_is_chosen_by_the_config_and_run(tmp_path):
    (tmp_path / "sh.py").write_text(SHELL)
    opened = open_benchmark("m", "multipl-e", {"language": str(tmp_path / "sh.py")})
    tasks = [
        {"name": f"T_{number}", "language": "sh", **IN_SHELL} for number in range(len(ANSWERS))
    ]
    path = tmp_path / "problems.jsonl"
    path.write_text(opened.dump(tasks))
    with open_sandbox("bubblewrap") as sandbox:
        tasks = opened.prepare(path, sandbox, ScoringLimits.of({}).limits)
        assert set(opened.versions(sandbox)) == {"sh"}
        assert "Complete this Shell function" in opened.prompt(tasks[0])
        solutions = {
            each["task_id"]: opened.extract(f"```sh\n    {body}\n```", each)
            for each, body in zip(tasks, ANSWERS, strict=True)
        }
        found = opened.judge(tasks, solutions, sandbox, ScoringLimits.of({}))
    assert [verdict.outcome for verdict in found.values()] == list(ANSWERS.values())
    assert opened.describe(tasks).title == "MultiPL-E Shell"


def test_an_unknown_language_is_named_with_those_there_are():
    with pytest.raises(UserError, match="no toolchain is called 'cobol'") as raised:
        open_benchmark("m", "multipl-e", {"language": "cobol"})
    assert raised.value.where == "config: evaluation.benchmarks.m: language"
    assert "cpp, java, js, php, rs, ts" in raised.value.hint
