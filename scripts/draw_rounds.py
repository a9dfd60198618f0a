"""Put what came of the rounds into a table and a picture."""

from aiev.core.files import read_json, write_json
from aiev.engine.job import Job, run_job
from aiev.reporting.figure import draw, table


def main(job: Job) -> None:
    found = {name: [read_json(path) for path in paths] for name, paths in job.inputs.items()}
    rounds = table(**found)
    write_json(job.output("table"), rounds)
    draw(rounds, job.output("picture"))


if __name__ == "__main__":
    run_job(main, inputs=("reports", "duels", "gates"), outputs=("table", "picture"))
