"""Fine-tune the student on tagged dialogues with DeepSpeed."""

from aiev.digests import of_directory
from aiev.job import Job, run_job
from aiev.records import write_json, write_text
from aiev.training import train


def main(job: Job) -> None:
    report = train(
        student=job.input("student"),
        data=job.input("data"),
        deepspeed=job.input("deepspeed"),
        model=job.output("model"),
        scratch=job.scratch(),
        params=job.params["training"],
        log_path=job.log_path,
    )
    write_json(job.output("report"), report)
    write_text(job.output("digest"), of_directory(job.output("model")) + "\n")


if __name__ == "__main__":
    run_job(main, inputs=("student", "data", "deepspeed"), outputs=("model", "digest", "report"))
