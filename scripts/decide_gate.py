"""Decide from a round's duel who writes the next round."""

from aiev.core.files import read_json, write_json
from aiev.core.log import log
from aiev.engine.job import Job, run_job
from aiev.rounds.gate import decide


def main(job: Job) -> None:
    before = [read_json(path) for path in job.inputs["before"]]
    gate = decide(
        read_json(job.input("duel")),
        before[0] if before else None,
        job.params["gate"],
        job.params["rounds"]["self_learning"],
    )
    log.info("the gate is %s: %s", "open" if gate["open"] else "shut", gate["reason"])
    write_json(job.output("gate"), gate)
    # Apart, so that a duel with other numbers and the same end makes no dialogue stale.
    write_json(job.output("next"), gate["next"])


if __name__ == "__main__":
    run_job(main, inputs=("duel", "before"), outputs=("gate", "next"))
