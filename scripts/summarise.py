"""Put all scores and duels into one page, and all counts of losses into the funnel."""

from aiev.core.files import read_json, write_json, write_text
from aiev.engine.job import Job, run_job
from aiev.reporting.funnel import funnel
from aiev.reporting.scores import table
from aiev.reporting.scores_page import page

SINGLE = ("seeds", "contamination", "tagged", "training")


def main(job: Job) -> None:
    names = {role: model["name"] for role, model in job.params["models"].items()}
    titles = {
        "base": f"base student, {names['student']}",
        "student": "tuned student",
        "teacher": f"teacher, {names['teacher']}",
    }
    run_rates = {path.parent.name: read_json(path) for path in job.inputs["run_rates"]}
    interpreted = map(read_json, job.inputs["interpreted"])
    styled = map(read_json, job.inputs["styled"])
    training = read_json(job.input("training"))
    measured = map(read_json, job.inputs["scores"])
    scores = table(measured, titles, run_rates, interpreted, styled, training)
    write_json(job.output("table"), scores)
    write_text(job.output("page"), page(scores, read_json(job.input("duels"))))
    reports = {name: read_json(job.input(name)) for name in SINGLE}
    reports["rounds"] = [read_json(path) for path in job.inputs["rounds"]]
    write_json(job.output("funnel"), funnel(**reports))


if __name__ == "__main__":
    run_job(
        main,
        inputs=("scores", "interpreted", "styled", "run_rates", *SINGLE, "rounds", "duels"),
        outputs=("table", "page", "funnel"),
    )
