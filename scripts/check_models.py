"""Check the models of a run before anything is paid for: `execution.preflight`.

Each model that is served elsewhere is asked one short question; one that is served here is known by
its digest, and its first question costs nothing: only the server's program is looked at. The
student's tokenizer and chat template must be fit for training, it must have the layers that LoRA is
to train, and PyTorch must be built for what it is trained on. No GPU is needed: this runs where
Snakemake was started. The output says what was checked, and nothing reads it.
"""

import asyncio
from typing import Any

from aiev.core.files import write_json
from aiev.core.log import log
from aiev.engine.job import Job, run_job
from aiev.llm.client import open_client
from aiev.llm.endpoints import KINDS, needs_weights, serve, with_server
from aiev.llm.failures import Unreachable
from aiev.llm.preflight import Check, check_model
from aiev.recipes import RECIPES
from aiev.training.attention import check_package
from aiev.training.build import check_build
from aiev.training.student import check_lora, check_student


def main(job: Job) -> None:
    if not job.execution["preflight"]:
        write_json(job.output("checked"), {})
        return
    rounds = job.params["rounds"]
    learns = rounds["self_learning"] and rounds["count"] > 1
    check_student(job.input("student"), system=learns)
    check_lora(job.input("student"), job.params["training"]["lora"])
    check_package(job.params["training"])
    check_build(job.params["training"]["accelerator"])
    checks = _checks(job.params, learns)
    for name in checks:
        _check_program(job, name)
    found = {name: _check(job, name, check) for name, check in checks.items()}
    write_json(job.output("checked"), {**found, "student": "template and tokens are fit"})


def _checks(params: dict[str, Any], learns: bool) -> dict[str, Check]:
    """The question for each model. learns: whether the student may write dialogues."""
    recipe = RECIPES.get(params["dialogues"]["recipe"])
    # A recipe of a user's own need not say how it asks.
    writing = recipe.parameters(params["dialogues"]) if hasattr(recipe, "parameters") else {}
    longest = max(params["duel"]["max_tokens"], params["evaluation"]["max_tokens"])
    solving = {"temperature": 0.0, "max_tokens": longest}
    return {"teacher": Check(writing, system=True), "base": Check(solving, system=learns)}


def _check_program(job: Job, name: str) -> None:
    """Look at the program that would serve a model here. Raises EndpointError where it cannot."""
    model = with_server(job.params["models"][name], job.execution)
    kind = KINDS.get(model["kind"])()
    # A kind of a user's own need not know how.
    if hasattr(kind, "check") and job.execution["ledger"]["mode"] != "replay":
        kind.check(model)


def _check(job: Job, name: str, check: Check) -> str:
    """What came of the question to one model, in words. Raises EndpointError where it fails."""
    model = with_server(job.params["models"][name], job.execution)
    if needs_weights(model):
        return "served here"
    if job.execution["ledger"]["mode"] == "replay":
        return "not asked: in replay mode nothing is"
    files = job.inputs["teacher" if name == "teacher" else "student"]
    weights = files[0] if files else None
    with serve(model, weights, job.scratch(), job.log_path) as endpoint:
        client = open_client(endpoint, job.execution, "preflight", model["timeout_seconds"])
        try:
            asyncio.run(check_model(client, check))
        except Unreachable as error:
            # A server for the student may be started once it is trained.
            if name == "teacher":
                raise
            log.warning("%s is not checked: %s", model["name"], error)
            return "not reachable"
    return "answered"


if __name__ == "__main__":
    run_job(main, inputs=("teacher", "student"), outputs=("checked",), stored=False)
