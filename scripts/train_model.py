"""Fine-tune the student on tagged dialogues with DeepSpeed."""

from aiev.core.files import write_json, write_text
from aiev.core.hashing import of_directory
from aiev.engine.job import Job, run_job
from aiev.training.supervisor import train


def main(job: Job) -> None:
    report = train(
        student=job.input("student"),
        data=job.input("data"),
        deepspeed=job.input("deepspeed"),
        model=job.output("model"),
        scratch=job.scratch(),
        params=job.params["training"],
        log_path=job.log_path,
        test=next(iter(job.inputs["test"]), None),
        checkpoint_steps=job.execution["training"]["checkpoint_steps"],
    )
    write_json(job.output("report"), report)
    write_text(job.output("digest"), of_directory(job.output("model")) + "\n")


if __name__ == "__main__":
    run_job(
        main,
        inputs=("student", "data", "test", "deepspeed"),
        outputs=("model", "digest", "report"),
    )
