"""Put all scores into one table, and all counts of losses into the funnel."""

from aiev.funnel import funnel
from aiev.job import Job, run_job
from aiev.records import read_json, write_json, write_text
from aiev.report import page, table


def main(job: Job) -> None:
    scores = table(map(read_json, job.inputs["scores"]), job.params["titles"])
    write_json(job.output("table"), scores)
    write_text(job.output("page"), page(scores))
    single = {
        name: read_json(job.input(name)) for name in ("seeds", "contamination", "tags", "training")
    }
    rounds = [read_json(path) for path in job.inputs["rounds"]]
    write_json(job.output("funnel"), funnel(rounds=rounds, **single))


if __name__ == "__main__":
    run_job(
        main,
        inputs=("scores", "seeds", "rounds", "contamination", "tags", "training"),
        outputs=("table", "page", "funnel"),
    )
