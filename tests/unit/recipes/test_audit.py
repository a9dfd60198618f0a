"""The audit: hidden tests say which verdicts are right."""

import asyncio
import gzip
import json
from dataclasses import replace

import pytest
from scripted import dialogues

from aiev.core.errors import UserError
from aiev.languages.interpreter import Interpreter
from aiev.llm.client import ChatClient
from aiev.llm.ledger import Ledger
from aiev.recipes.aiev_instruct.audited import audit_one
from aiev.recipes.aiev_instruct.options import Settings
from aiev.recipes.aiev_instruct.settings import Sampling
from aiev.recipes.verification.audit import (
    audit_problem,
    by_evidence,
    choose,
    read_tasks,
    resource_of,
    rows,
)
from aiev.recipes.verification.evidence import NOTHING
from aiev.recipes.verification.settings import Policy
from aiev.sandbox.api import open_sandbox
from aiev.sandbox.request import Limits

SAMPLING = Sampling(
    problem_tokens=128, solution_tokens=320, description_tokens=48, tests_tokens=384
)
SETTINGS = Settings(
    run_seed=1, feedback_rounds=1, answers=1, shown_characters=600, sampling=SAMPLING
)


@pytest.fixture(scope="module")
def interpreter():
    with open_sandbox("bubblewrap") as sandbox:
        yield Interpreter(sandbox, Limits(wall_seconds=10, memory_mib=256, processes=16), None)


def task(name: str, words: str = "") -> dict:
    """A task in EvalPlus's format, of which the scripted teacher knows the answer."""
    more = len(name)
    examples = f"    >>> {name}(2)\n    {2 + more}\n    >>> {name}(3)\n    {3 + more}\n"
    return {
        "task_id": f"Test/{name}",
        "prompt": f'def {name}(x):\n    """{words}\n{examples}    """\n',
        "canonical_solution": f"    return x + {more}\n",
        "entry_point": name,
        "base_input": [[1], [2]],
        "plus_input": [[-5], [100], [0.5]],
        "atol": 0,
    }


def test_a_task_as_a_problem():
    problem = audit_problem(task("once_a", "Add."))
    assert problem.description.startswith("Write a function `once_a(x)`.\n\nAdd.")
    assert [e.check for e in problem.contract.examples] == [
        "assert once_a(2) == 8",
        "assert once_a(3) == 9",
    ]
    bare = audit_problem(task("once_a", "Add."), "removed")
    assert "once_a(2)" not in bare.description and bare.contract.examples == ()
    mbpp = {
        **task("f"),
        "prompt": '"""\nWrite a function to add one.\nassert f(1) == 2\n"""\n',
        "canonical_solution": "def f(x):\n    return x + 1\n",
    }
    assert (
        audit_problem(mbpp).description
        == "Write a function `f(x)`.\n\nWrite a function to add one."
    )
    helped = {**task("f"), "prompt": "def g(x):\n    return x\n\n" + task("f")["prompt"]}
    assert audit_problem(helped) is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "numbers: List[Tuple[int, str]], most: int=1",
            "numbers: list[tuple[int, str]], most: int=1",
        ),
        ("x: Optional[Dict[str, float]]=None", "x: dict[str, float] | None=None"),
        ("x: Union[int, List[int], None]", "x: int | list[int] | None"),
        ("x: Any, f: Callable[[int], int], *more: Set[str]", "x, f, *more: set[str]"),
        ("x, y: str", "x, y: str"),
    ],
)
def test_a_problem_s_signature_needs_no_import(given, told):
    prompt = f'from typing import *\n\ndef f({given}):\n    """Do it."""\n'
    problem = audit_problem({**task("f"), "prompt": prompt})
    assert problem.description == f"Write a function `f({told})`.\n\nDo it."
    exec(f"def f({told}): pass", {})


def test_one_example_is_made_wrong():
    """As in a small teacher's own problems. The others stay, and all can still be read."""
    for name in ("once_a", "once_bb", "mended_c"):
        problem = audit_problem(task(name, "Add."), "wrong")
        told, true = problem.contract.examples, problem.true_examples
        assert [e.call for e in told] == [e.call for e in true] and not problem.contract.flaw
        assert sum(a != b for a, b in zip(told, true, strict=True)) == 1
    same = {
        **task("f"),
        "prompt": 'def f(x):\n    """\n    >>> f(1)\n    [0]\n    >>> f(2)\n    [0]\n    """\n',
    }
    assert "[[0]]" in audit_problem(same, "wrong").description
    one = {**task("f"), "prompt": 'def f(x):\n    """\n    >>> f(1)\n    2\n    """\n'}
    assert audit_problem(one, "wrong") is None, "of one example nothing could be told"
    with pytest.raises(UserError, match="'none' is none of the ways"):
        choose([task("f")], 1, "none")


def test_an_audit_by_a_scripted_teacher(scripted, endpoint_of, interpreter, tmp_path):
    """Its second problem is solved wrongly by all answers, which agree with each other."""

    def script(body):
        said = dialogues(body)
        return said.replace("x + 7", "abs(x) + 7") if "once_bb(" in str(body["messages"]) else said

    scripted.script = script
    names = ("once_a", "once_bb", "mended_c", "never_d")
    problems = choose([task(n) for n in names], 4)

    def is_right(task_id, solution):
        """Hidden inputs of which the canonical solution tells the answers."""
        name, space = task_id.partition("/")[2], {}
        exec(solution or f"def {name}(x): pass", space)
        return all(space[name](x) == x + len(name) for x in (1, 2, -5, 100, 0.5))

    async def write():
        async with ChatClient(endpoint_of(scripted), Ledger(tmp_path), timeout=20) as chat:
            return [await audit_one(chat, interpreter, SETTINGS, p, 0, is_right) for p in problems]

    audited = asyncio.run(write())
    (row,) = rows(audited, Policy(), 2, ["consensus"])
    assert row == {
        **{"policy": "consensus", "min_examples": 2, "problems": 4, "verified": 3, "right": 2},
        **{"precision": 0.667, "recall": 1.0, "first_right": 1, "repaired": 1, "bent": 0},
    }
    found = by_evidence(audited, Policy().min_alike)
    table = {(row["evidence"], row["least"]): (row["passed"], row["right"]) for row in found}
    # The wrong one is right for all that its tests, and changes of them, try. But it stays so
    # without the call of abs, which is a mutant.
    assert table["agreeing", 0] == table["agreeing", 4] == table["alike", 1] == (3, 2)
    assert table["inputs", 1] == (3, 2) and table["killed", 1] == (2, 2)
    # They state two examples each.
    assert rows(audited, Policy(), 3, ["examples"])[0]["verified"] == 0
    # What could not be compared is in no row of that evidence.
    bare = {**audited[0].evidence, **{key: NOTHING[key] for key in ("inputs", "mutants")}}
    found = by_evidence([replace(audited[0], evidence=bare)], Policy().min_alike)
    counts = {row["evidence"]: row["passed"] for row in found if row["least"] == 0}
    assert counts == {"agreeing": 1, "alike": 1, "inputs": 0, "killed": 0}
    # Records are judged again, from what lies on disk.
    json.loads(audited[0].record())


def test_a_benchmark_s_file(tmp_path):
    path = tmp_path / "MbppPlus.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(task("f")).encode()))
    assert read_tasks(path) == [task("f")]
    with pytest.raises(UserError, match="cannot be read"):
        read_tasks(tmp_path / "HumanEvalPlus.jsonl.gz")
    assert resource_of("mbpp") == "mbpp-plus"
    with pytest.raises(UserError, match="unknown benchmark for an audit: 'other'"):
        resource_of("other")
