"""The audit: problems with hidden tests take the place of proposed ones, to measure what a verdict
is worth.

The hidden tests are EvalPlus's, and the judge of the benchmarks (evaluation.evalplus.hidden) runs
them on the solution that a dialogue ended with. Audited problems never reach training data: nothing
of an audit is written below results/.
"""

import ast
import builtins
import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_text
from aiev.recipes.verification.contract import (
    Contract,
    Example,
    read_contract,
    without_examples,
)
from aiev.recipes.verification.policies import (
    POLICIES,
    Policy,
    compared,
    counted_voters,
    inputs_alike,
    judge,
)

IsRight = Callable[[str, str], bool]
"""Task id and solution -> whether the solution passes the task's hidden tests."""


EXAMPLES = ("kept", "removed", "wrong")
"""What becomes of the examples in a problem's text. "wrong": one of them gets a wrong result, as a
teacher's own problems often have one."""


@dataclass(frozen=True)
class AuditProblem:
    """A benchmark problem as the loop sees it. true_examples: those of the benchmark's own text."""

    id: str
    description: str
    contract: Contract
    true_examples: tuple[Example, ...]


def audit_problem(task: Mapping[str, Any], examples: str = "kept") -> AuditProblem | None:
    """A task in EvalPlus's format as a problem; None where it needs functions that its prompt
    defines beside its own, and, to make an example wrong, where there are not two.

    examples: one of EXAMPLES. The asserts in a prompt of MBPP are always left out.
    """
    name, prompt = task["entry_point"], task["prompt"]
    try:
        own = ast.parse(prompt + task["canonical_solution"])
        given = ast.parse(prompt).body
    except SyntaxError:
        return None
    functions = [node for node in own.body if isinstance(node, ast.FunctionDef)]
    if sum(isinstance(node, ast.FunctionDef) for node in given) > 1:
        return None
    signature = next(node for node in functions if node.name == name)
    words = ast.get_docstring(ast.parse(prompt)) or ast.get_docstring(signature) or ""
    words = "\n".join(line for line in words.split("\n") if not line.startswith("assert "))
    head = f"Write a function `{name}({parameters(signature.args)})`."
    description = f"{head}\n\n{words.strip()}"
    true_examples = read_contract(description, entry_point=name).examples
    if examples != "kept":
        description = without_examples(description, name)
    if examples == "wrong":
        if len(true_examples) < 2:
            return None
        description = "\n".join([description.rstrip(), *one_wrong(task["task_id"], true_examples)])
    contract = read_contract(description, entry_point=name)
    return AuditProblem(task["task_id"], description, contract, true_examples)


def parameters(given: ast.arguments) -> str:
    """A signature's parameters as they stand without any import: `List[int]` is `list[int]`,
    `Optional[int]` is `int | None`, and an annotation that no builtin says is left out."""
    parsed = ast.parse(f"def f({ast.unparse(given)}): pass")
    for node in ast.walk(parsed):
        if isinstance(node, ast.arg) and node.annotation:
            node.annotation = _Builtin().visit(node.annotation)
            names = {n.id for n in ast.walk(node.annotation) if isinstance(n, ast.Name)}
            node.annotation = node.annotation if names <= set(dir(builtins)) else None
    (function,) = parsed.body
    assert isinstance(function, ast.FunctionDef)
    return ast.unparse(function.args)


class _Builtin(ast.NodeTransformer):
    """Names of `typing` as the builtins that mean the same."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        same = node.id in ("List", "Tuple", "Dict", "Set", "FrozenSet")
        return ast.Name(node.id.lower()) if same else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        match node.value:
            case ast.Name(id="Optional"):
                return ast.BinOp(node.slice, ast.BitOr(), ast.Constant(None))
            case ast.Name(id="Union"):
                each = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                return reduce(lambda one, other: ast.BinOp(one, ast.BitOr(), other), each)
        return node


def one_wrong(task_id: str, examples: Sequence[Example]) -> list[str]:
    """Lines that state the examples, one of them with a wrong result: another one's, or else one
    that is off by a little."""
    chosen = int(of_text(task_id)[:8], 16) % len(examples)
    stated = list(examples)
    right = stated[chosen].result
    other = next((e.result for e in examples if e.result != right), None)
    stated[chosen] = Example(stated[chosen].call, other or _off(ast.literal_eval(right)))
    return [f"`{example.call}` returns `{example.result}`" for example in stated]


def _off(value: Any) -> str:
    """Source text of a value that is nearly this one."""
    if isinstance(value, bool) or value is None:
        return repr(not value)
    if isinstance(value, int | float | complex):
        return repr(value + 1)
    if isinstance(value, str):
        return repr(value + "a")
    return repr([value])


BENCHMARKS = {"humaneval": "humaneval-plus", "mbpp": "mbpp-plus"}
"""EvalPlus's files, as declared resources, by the name of the audit's benchmark."""


def resource_of(benchmark: str) -> str:
    """The declared file of a benchmark to audit with. Raises UserError."""
    if benchmark not in BENCHMARKS:
        hint = f"use one of {', '.join(BENCHMARKS)}"
        raise UserError(f"unknown benchmark for an audit: {benchmark!r}", hint=hint)
    return BENCHMARKS[benchmark]


def read_tasks(path: Path) -> list[dict[str, Any]]:
    """Tasks in EvalPlus's format, from a gzipped file. Raises UserError."""
    try:
        lines = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except (OSError, EOFError, ValueError) as error:
        message = f"the benchmark cannot be read: {error}"
        hint = "remove the file: it is fetched again"
        raise UserError(message, where=str(path), hint=hint) from error


def choose(
    tasks: Iterable[Mapping[str, Any]], size: int, examples: str = "kept"
) -> list[AuditProblem]:
    """The `size` problems whose ids have the smallest digests, so that a larger audit holds every
    smaller one. examples: as for `audit_problem`. Raises UserError for another word."""
    if examples not in EXAMPLES:
        message = f"{examples!r} is none of the ways to show examples"
        raise UserError(message, hint=f"use one of {', '.join(EXAMPLES)}")
    problems = [p for task in tasks if (p := audit_problem(task, examples))]
    return sorted(problems, key=lambda problem: of_text(problem.id))[:size]


@dataclass(frozen=True)
class Audited:
    """One problem: its evidence, and which of its solutions are right by the hidden tests.

    right: the last solution. first_right: the first one. changed: whether feedback changed it.
    false_examples: in the problem that the dialogue ended with, those that contradict the
    benchmark's own. problem, solution: the last ones, to be read.
    """

    id: str
    evidence: Mapping[str, Any]
    right: bool
    first_right: bool
    changed: bool
    false_examples: int = 0
    problem: str = ""
    solution: str = ""

    def record(self) -> str:
        return json.dumps(vars(self), sort_keys=True)


SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def by_evidence(audited: Iterable[Audited], min_alike: float) -> list[dict[str, Any]]:
    """How many solutions are right, of those whose tests passed with at least so much evidence:
    a row for each number of independent solutions that confirm every test and example, for each
    share of those that count with the solution's own outputs to the tests, for each share of
    mutated inputs on which the share `min_alike` of them have them, and for each share of mutants
    that the tests kill. A dialogue for which nothing could be compared, or no mutant made, is in
    none of the rows of that evidence."""
    passed = [each for each in audited if not each.evidence["stopped"]]
    steps = [("agreeing", n, _agreeing) for n in range(5)]
    steps += [("alike", share, _alike) for share in SHARES]
    steps += [("inputs", share, lambda e: _inputs(e, min_alike)) for share in SHARES]
    steps += [("killed", share, _killed) for share in SHARES]
    found = []
    for evidence, least, measure in steps:
        known = [(each, measure(each.evidence)) for each in passed]
        chosen = [each for each, value in known if value is not None and value >= least]
        right = sum(each.right for each in chosen)
        found.append({"evidence": evidence, "least": least, "passed": len(chosen), "right": right})
    return found


def _agreeing(evidence: Mapping[str, Any]) -> int:
    counts = [test["agreed"] for test in evidence["tests"]]
    if evidence["examples"]["found"]:
        counts.append(evidence["examples"]["agreed"])
    return min(counts, default=0)


def _alike(evidence: Mapping[str, Any]) -> float | None:
    counted = counted_voters(evidence)
    return sum(voter["alike"] for voter in counted) / len(counted) if counted else None


def _inputs(evidence: Mapping[str, Any], min_alike: float) -> float | None:
    votes = compared(evidence)
    return inputs_alike(votes, min_alike) if votes else None


def _killed(evidence: Mapping[str, Any]) -> float | None:
    mutants = evidence["mutants"]
    return mutants["killed"] / mutants["of"] if mutants["of"] else None


def rows(
    audited: list[Audited],
    thresholds: Policy,
    min_examples: int,
    policies: Iterable[str] = POLICIES,
) -> list[dict[str, Any]]:
    """For each policy: how many problems it verifies, and how many of those are right.

    min_examples: in place of that of the thresholds.
    repaired: right after feedback where the first solution was wrong. bent: verified although a
    revision changed what a test expects, or the problem ended with an example that contradicts the
    benchmark's. recall: verified and right, of all that ended right.
    """
    solved = sum(each.right for each in audited)
    found = []
    for name in policies:
        policy = thresholds.model_copy(update={"policy": name, "min_examples": min_examples})
        verified = [each for each in audited if not judge(each.evidence, policy)]
        right = sum(each.right for each in verified)
        found.append(
            {
                "policy": name,
                "min_examples": min_examples,
                "problems": len(audited),
                "verified": len(verified),
                "right": right,
                "precision": round(right / len(verified), 3) if verified else None,
                "recall": round(right / solved, 3) if solved else None,
                "first_right": sum(each.first_right for each in audited),
                "repaired": sum(e.right and not e.first_right for e in verified),
                "bent": sum(e.evidence["bent"] or e.false_examples > 0 for e in verified),
            }
        )
    return found
