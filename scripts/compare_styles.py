"""Put a model's scores in all prompt styles beside each other."""

from aiev.core.files import read_json, write_json, write_text
from aiev.engine.job import Job, run_job
from aiev.reporting.scores_page import markdown
from aiev.reporting.styles import cells, table


def main(job: Job) -> None:
    styles = table(map(read_json, job.inputs["scores"]))
    write_json(job.output("table"), styles)
    write_text(job.output("page"), "\n".join([*markdown(*cells(styles)), ""]))


if __name__ == "__main__":
    run_job(main, inputs=("scores",), outputs=("table", "page"))
