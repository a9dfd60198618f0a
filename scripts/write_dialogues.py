"""Write a dialogue for each seed of a shard, verified in the sandbox."""

import asyncio
from collections import Counter

from aiev.chat import Chat, open_chat
from aiev.dialogue import Settings, write_dialogues
from aiev.endpoints import serve
from aiev.execution import Interpreter, open_interpreter
from aiev.job import Job, run_job
from aiev.progress import Progress, log
from aiev.records import read_jsonl, write_jsonl


def main(job: Job) -> None:
    seeds = read_jsonl(job.input("seeds"))
    model = job.params["models"]["teacher"]
    # Each dialogue has two, the Questioner's and the Programmer's.
    conversations = 2 * job.params["dialogues"]["in_flight"]
    with (
        open_interpreter(job.params["sandbox"], job.aside["ledger"]) as interpreter,
        serve(model, job.weights(), job.scratch(), job.log_path, conversations) as endpoint,
    ):
        chat = open_chat(endpoint, job.aside, "dialogues", model["timeout_seconds"])
        dialogues = asyncio.run(_write(job, seeds, chat, interpreter))
    job.remarks["answers"] = sorted(chat.used)
    write_jsonl(job.output("dialogues"), dialogues)


async def _write(job: Job, seeds, chat: Chat, interpreter: Interpreter):
    verdicts = Counter()
    with Progress("dialogues", len(seeds), "dialogue") as progress:

        def done(dialogue) -> None:
            verdicts[dialogue["reason"] or "verified"] += 1
            log.info("%s: %s", dialogue["id"], dialogue["reason"] or "verified")
            progress.step(f"{verdicts['verified']} verified, {chat.completion_tokens} tokens")

        async with chat:
            dialogues = await write_dialogues(
                seeds,
                chat,
                interpreter,
                Settings.of(job.params),
                round_number=job.params["round"],
                stage="teaching",
                in_flight=job.params["dialogues"]["in_flight"],
                done=done,
            )
    log.info("verdicts: %s", dict(sorted(verdicts.items())))
    return dialogues


if __name__ == "__main__":
    run_job(main, inputs=("seeds", "weights"), outputs=("dialogues",))
