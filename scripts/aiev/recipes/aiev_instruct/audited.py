"""One problem of an audit, written by the same loop as any dialogue."""

import asyncio
import contextlib

from aiev.languages.interpreter import Interpreter
from aiev.llm.client import ChatClient
from aiev.llm.failures import Unanswerable
from aiev.recipes.aiev_instruct.compose import solution_of
from aiev.recipes.aiev_instruct.dialogue import finish
from aiev.recipes.aiev_instruct.options import Settings
from aiev.recipes.aiev_instruct.talk import Talk
from aiev.recipes.verification.audit import Audited, AuditProblem, IsRight


async def audit_one(
    chat: ChatClient,
    interpreter: Interpreter,
    settings: Settings,
    problem: AuditProblem,
    place: int,
    is_right: IsRight,
) -> Audited:
    """Write the dialogue of a known problem, and try its solutions on the hidden tests.

    place: of its conversations in the server's memory. is_right: runs the hidden tests. Raises
    EndpointError.
    """
    seed = {"id": problem.id, "text": ""}
    talk = Talk(seed, chat, interpreter, settings, f"audit-{problem.id}", place)
    talk.contract = problem.contract
    stopped = await finish(talk, problem.description)
    first = next((m["content"] for m in talk.messages if m["kind"] == "solution"), "")
    name = problem.contract.entry_point
    if not first and stopped == "unconfirmed":
        # A dialogue is dropped here without its solution, which says what the verdict costs.
        with contextlib.suppress(Unanswerable):
            reply = await talk.programmer().solve(problem.description, name, talk.next_seed())
            first = reply.text
    solution = solution_of(first, name) or ""
    last = talk.parts.solution or solution
    first_right = await asyncio.to_thread(is_right, problem.id, solution)
    changed = last != solution
    right = await asyncio.to_thread(is_right, problem.id, last) if changed else first_right
    true = {example.call: example.result for example in problem.true_examples}
    false = sum(true.get(e.call, e.result) != e.result for e in talk.contract.examples)
    found = (talk.record(stopped), right, first_right, changed, false)
    return Audited(problem.id, *found, talk.problem or problem.description, last)
