"""Who starts the processes of a training, and what they are told."""

import os

import pytest

from aiev.core.errors import UserError
from aiev.training.launch import launch
from aiev.training.worker import set_ranks

PARAMS = {"accelerator": "cpu", "accelerators": 2, "threads": 1}


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A Slurm job of so many tasks, by a scontrol that says so."""

    def make(tasks: int) -> None:
        said = f"JobId=7 NumNodes=2 NumCPUs={2 * tasks} NumTasks={tasks} CPUs/Task=2"
        (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho '{said}'\n")
        (tmp_path / "scontrol").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setenv("SLURM_JOB_ID", "7")

    monkeypatch.delenv("SLURM_STEP_ID", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return make


def test_without_slurm_deepspeed_starts_them(tmp_path, job):
    command, environment = launch(tmp_path, PARAMS)
    assert "deepspeed.launcher.runner" in command and environment["DS_ACCELERATOR"] == "cpu"


@pytest.mark.parametrize(
    ("accelerator", "given", "told"),
    [
        *(
            ("cuda", "5,3,1", ["--include", "localhost:5,3"]),
            ("cuda", "", ["--num_accelerators", "2"]),
        ),
        *(("cuda", None, ["--num_accelerators", "2"]), ("cpu", "5", ["--num_accelerators", "2"])),
    ],
)
def test_the_gpus_that_a_job_was_given_are_used(
    accelerator, given, told, tmp_path, job, monkeypatch
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    command, environment = launch(tmp_path, PARAMS | {"accelerator": accelerator})
    assert " ".join(told) in " ".join(command)
    assert ("--num_accelerators" in command) != ("--include" in command)
    assert environment["DS_ACCELERATOR"] == accelerator


@pytest.mark.parametrize(
    ("given", "problem"), [("0", "this job has 1 GPUs"), ("GPU-1a,GPU-2b", "takes GPUs by number")]
)
def test_gpus_that_cannot_be_used_are_a_clear_error(given, problem, tmp_path, job, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    with pytest.raises(UserError, match=problem):
        launch(tmp_path, PARAMS | {"accelerator": "cuda"})


def test_a_job_with_a_task_for_each_starts_them_by_srun(tmp_path, job):
    job(2)
    command, environment = launch(tmp_path, PARAMS)
    assert command[:3] == ["srun", "--ntasks=2", "--cpus-per-task=2"]
    assert int(environment["MASTER_PORT"]) > 0


def test_a_job_of_one_task_is_like_one_machine(tmp_path, job, monkeypatch):
    job(1)
    assert "deepspeed.launcher.runner" in launch(tmp_path, PARAMS)[0]
    job(2)
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    assert "deepspeed.launcher.runner" in launch(tmp_path, PARAMS)[0]


def test_another_number_of_tasks_is_a_mistake(tmp_path, job):
    job(4)
    with pytest.raises(UserError, match="accelerators is 2, and the Slurm job has 4 tasks"):
        launch(tmp_path, PARAMS)


def test_a_process_learns_its_place_from_slurm(monkeypatch):
    given = {"PROCID": "1", "LOCALID": "0", "NTASKS": "2", "STEP_NUM_NODES": "2"}
    given["LAUNCH_NODE_IPADDR"] = "10.0.0.1"
    monkeypatch.setattr(os, "environ", {f"SLURM_{k}": v for k, v in given.items()})
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    set_ranks()
    told = [os.environ[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")]
    assert told == ["1", "0", "2", "10.0.0.1"] and "GLOO_SOCKET_IFNAME" not in os.environ


def test_an_interface_that_a_user_names_is_kept(tmp_path, job, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "ib0")
    assert launch(tmp_path, PARAMS)[1]["GLOO_SOCKET_IFNAME"] == "ib0"
    given = {"PROCID": "1", "LOCALID": "0", "NTASKS": "2", "STEP_NUM_NODES": "2"}
    given["LAUNCH_NODE_IPADDR"] = "10.0.0.1"
    monkeypatch.setattr(os, "environ", {f"SLURM_{k}": v for k, v in given.items()})
    os.environ["GLOO_SOCKET_IFNAME"] = "ib0"
    set_ranks()
    assert os.environ["GLOO_SOCKET_IFNAME"] == "ib0"
