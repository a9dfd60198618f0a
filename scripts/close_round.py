"""Close a round: judge its dialogues, split the verified ones, count the others."""

from aiev.core.files import read_jsonl, write_json, write_jsonl
from aiev.engine.job import Job, run_job
from aiev.recipes.variety import feedback, variety
from aiev.recipes.verification.policies import Policy, judged
from aiev.rounds.seen import without_seen
from aiev.rounds.splits import split_round


def main(job: Job) -> None:
    policy = Policy.model_validate(job.params["verification"])
    written = [d for path in job.inputs["dialogues"] for d in read_jsonl(path)]
    dialogues = [judged(dialogue, policy) for dialogue in written]
    rounds = job.params["rounds"]
    split = split_round(dialogues, **rounds["split"], minimum_yield=rounds["minimum_yield"])
    if job.inputs["earlier"]:
        earlier = [d for path in job.inputs["earlier"] for d in read_jsonl(path)]
        split = without_seen(split, earlier, job.params["decontamination"]["threshold"])
    write_jsonl(job.output("train"), split.train)
    write_jsonl(job.output("test"), split.test)
    found = {"variety": variety(dialogues), "feedback": feedback(dialogues)}
    write_json(job.output("report"), {**split.report, **found})


if __name__ == "__main__":
    run_job(main, inputs=("dialogues", "earlier"), outputs=("train", "test", "report"))
