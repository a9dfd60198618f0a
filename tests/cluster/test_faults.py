"""What goes wrong on a cluster, on a real one: each ends in a clean resubmission, or in a failure
that names its log. No answer on record is asked for again, and nothing is half-written.

Faults that touch one run only are played at the same time, each in a run of its own.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from cluster import Cluster, helper
from project import DIALOGUES, Project, end_group
from scripted import HANG, dialogues, scripted_endpoint

pytestmark = [pytest.mark.workflow, pytest.mark.slurm]
RULE = "write_dialogues"
SLOW = {"cancelled": 1.5, "snakemake_killed": 5.0}
"""Seconds that an answer takes where a job has to be caught at work, or a second run to find it."""


def finish(process, seconds: float = 600) -> SimpleNamespace:
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        end_group(process)
    return SimpleNamespace(code=process.returncode, said=said)


def asked(cluster: Cluster, endpoint) -> None:
    """Wait until the job has an answer on record, and so something to lose."""
    deadline = time.monotonic() + 120
    while not endpoint.answered and time.monotonic() < deadline:
        time.sleep(0.1)
    assert endpoint.answered, cluster.jobs()


def cancelled(cluster, endpoint):
    cluster.use_partition("side")
    process = cluster.start(DIALOGUES)
    asked(cluster, endpoint)
    cluster.slurm("scancel", cluster.wait(RULE, "RUNNING"))
    return finish(process)


def over_memory(cluster, endpoint):
    asks = {"mem_mb": "40 if attempt == 1 else 1000"}
    return finish(cluster.start(DIALOGUES, **asks))


def always_over_memory(cluster, endpoint):
    cluster.project.config["execution"]["in_flight"] = 1
    process = cluster.start(DIALOGUES, options=("--retries", "1"), mem_mb="40")
    return finish(process)


def over_runtime(cluster, endpoint):
    endpoint.script = lambda body: HANG
    cluster.project.config["execution"]["models"]["teacher"]["timeout_seconds"] = 300
    process = cluster.start(DIALOGUES, runtime="attempt")
    cluster.wait(RULE, "TIMEOUT", seconds=180)
    endpoint.script = dialogues
    return finish(process)


def snakemake_killed(cluster, endpoint):
    process = cluster.start(DIALOGUES)
    asked(cluster, endpoint)
    first = cluster.wait(RULE, "RUNNING")
    process.kill()
    process.communicate()
    result = finish(cluster.start(DIALOGUES))
    result.first = first
    return result


def edited_in_the_queue(cluster, endpoint):
    # A second attempt would meet the same edit.
    once = ("--retries", "0")
    process = cluster.start(DIALOGUES, options=once, slurm_extra="'--begin=now+10'")
    cluster.wait(RULE, "PENDING")
    prompt = cluster.project.root / "scripts/aiev/recipes/aiev_instruct/prompts/small/describe.md"
    before = prompt.read_text("utf-8")
    prompt.write_text(f"{before}Name no file.\n", "utf-8")
    result = finish(process)
    prompt.write_text(before, "utf-8")
    result.again = finish(cluster.start(DIALOGUES))
    return result


CASES = {
    each.__name__: each
    for each in (
        *(cancelled, over_memory, always_over_memory),
        *(over_runtime, snakemake_killed, edited_in_the_queue),
    )
}


def play(name: str, place: Path, environment: dict[str, str]) -> SimpleNamespace:
    with scripted_endpoint(delay=SLOW.get(name, 0)) as end:
        cluster = Cluster(Project(place / "project", end.url), environment)
        result = CASES[name](cluster, end)
        result.cluster, result.answered = cluster, dict(end.answered)
    return result


@pytest.fixture(scope="module")
def played(slurm, tmp_path_factory):
    with ThreadPoolExecutor(len(CASES)) as pool:
        futures = {
            name: pool.submit(play, name, tmp_path_factory.mktemp(name), slurm) for name in CASES
        }
    return lambda name: futures[name].result()


def whole(result, undisturbed, cut_off: int = 0) -> None:
    """The run ended as if nothing had happened; `cut_off` questions may have been put twice."""
    files, questions = undisturbed
    assert result.code == 0, result.said
    assert result.cluster.project.file(DIALOGUES) == files
    assert set(result.answered) == questions
    assert sum(result.answered.values()) <= len(questions) + cut_off
    assert not result.cluster.leftovers()


def test_a_job_that_was_cancelled_is_submitted_again(played, undisturbed):
    result = played("cancelled")
    # A question in flight had no answer on record.
    whole(result, undisturbed, cut_off=2)
    assert "SLURM status is: 'CANCELLED'" in result.said and "Trying to restart" in result.said
    asked = [line for line in result.said.splitlines() if "mem_mb=" in line and "runtime=" in line]
    assert "mem_mb=16000" in asked[-1] and "runtime=960" in asked[-1], (
        "the profile's second attempt"
    )


def test_a_job_over_its_memory_gets_more(played, undisturbed):
    result = played("over_memory")
    whole(result, undisturbed)
    assert "Trying to restart" in result.said and "mem_mb=1000" in result.said


def test_a_job_always_over_its_memory_ends_in_a_failure_that_names_the_log(played):
    result = played("always_over_memory")
    assert result.code != 0 and result.said.count("failed, SLURM status is") == 2
    logs = sorted(result.cluster.project.root.glob(".snakemake/slurm_logs/rule_write_*/**/*.log"))
    assert len(logs) == 2 and all(str(log) in result.said for log in logs)
    assert "exceeded memory limit" in logs[0].read_text()
    assert not (result.cluster.project.root / DIALOGUES).exists()


def test_a_job_over_its_time_gets_more(played, undisturbed):
    result = played("over_runtime")
    whole(result, undisturbed)
    assert "'TIMEOUT'" in result.said and "runtime=2" in result.said


def test_jobs_run_on_when_snakemake_is_killed_and_the_next_run_waits_for_them(played, undisturbed):
    result = played("snakemake_killed")
    whole(result, undisturbed)
    jobs = result.cluster.jobs()
    assert jobs[result.first][0] == "COMPLETED", jobs
    log = result.cluster.project.file("logs/tiny/rounds/0/dialogues/000.log").decode()
    assert f"waiting: Slurm job {result.first}" in log and "restored from action" in log


def test_a_job_whose_code_was_edited_while_it_waited_ends_and_the_next_run_goes_on(
    played, undisturbed
):
    result = played("edited_in_the_queue")
    assert result.code != 0 and "the sources changed since the run began" in result.said
    result.code, result.said = result.again.code, result.again.said
    whole(result, undisturbed)


def test_a_node_that_is_lost(cluster, scripted, undisturbed):
    scripted.delay = 1.5
    cluster.use_partition("second")
    process = cluster.start(DIALOGUES)
    try:
        asked(cluster, scripted)
        helper("two", "down")
        cluster.wait(RULE, "NODE_FAIL", seconds=60)
    finally:
        helper("two", "up")
    result = finish(process)
    result.cluster, result.answered = cluster, dict(scripted.answered)
    whole(result, undisturbed, cut_off=2)
    assert "node failure" in result.said


def test_a_job_that_is_preempted(cluster, scripted, undisturbed):
    scripted.delay = 1.5
    cluster.use_partition("second")
    process = cluster.start(DIALOGUES)
    asked(cluster, scripted)
    cluster.wait(RULE, "RUNNING")
    urgent = ("--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true")
    cluster.slurm("sbatch", *urgent)
    cluster.wait(RULE, "PREEMPTED", seconds=60)
    result = finish(process)
    result.cluster, result.answered = cluster, dict(scripted.answered)
    whole(result, undisturbed, cut_off=2)
    assert "Trying to restart" in result.said


def test_a_controller_and_a_partition_that_are_away(cluster, scripted, undisturbed):
    scripted.delay = 1.0
    cluster.slurm("scontrol", "update", "partitionname=side", "state=down")
    cluster.use_partition("side")
    process = cluster.start(DIALOGUES)
    number = cluster.wait("mine_seeds", "PENDING")
    said = cluster.slurm("squeue", "--jobs", number, "--noheader", "--format=%r")
    assert said.strip() == "PartitionDown"
    cluster.slurm("scontrol", "update", "partitionname=side", "state=up")
    asked(cluster, scripted)
    helper("controller", "down")
    time.sleep(8)
    helper("controller", "up")
    result = finish(process)
    result.cluster, result.answered = cluster, dict(scripted.answered)
    whole(result, undisturbed)
    assert "Trying to restart" not in result.said
