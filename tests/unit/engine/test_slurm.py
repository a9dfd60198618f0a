"""What is made of Slurm's answers, and the executor that they are made for."""

import asyncio
import inspect
import logging
import re
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin
import yaml
from snakemake_executor_plugin_slurm.utils import set_gres_string

from aiev.engine.slurm import FORGOTTEN, LIVING, VERSION, patch_executor

ROOT = Path(__file__).parents[3]
PROFILE = ROOT / "profiles/slurm/config.yaml"


@pytest.fixture
def slurm():
    """An executor's module whose Slurm answers what stands in `says` and `age`."""

    async def query(command, logger):
        return executor.says, None if executor.says is None else 0.1

    executor = SimpleNamespace(says={}, age=600, query_job_status=query)
    executor.get_min_job_age = lambda: executor.age
    patch_executor(executor, VERSION)
    return executor


def states(executor, **says):
    """What the executor sees when Slurm says this of its jobs; job7="RUNNING"."""
    executor.says = {name.removeprefix("job"): state for name, state in says.items()}
    return asyncio.run(executor.query_job_status("squeue", logging.getLogger("test")))[0]


def test_a_job_that_ended_has_a_state_on_which_the_executor_acts(slurm):
    found = states(slurm, job1="PREEMPTED", job2="CANCELLED by 1000", job3="COMPLETED", job4="")
    assert found == {"1": "CANCELLED", "2": "CANCELLED", "3": "COMPLETED", "4": ""}


@pytest.mark.parametrize("state", sorted(LIVING))
def test_a_job_that_slurm_forgets_has_failed_once(slurm, state, caplog):
    assert states(slurm, job1=state, job2="RUNNING") == {"1": state, "2": "RUNNING"}
    assert states(slurm, job2="RUNNING") == {"2": "RUNNING"}, "one answer may lack it"
    assert states(slurm, job2="RUNNING") == {"1": FORGOTTEN, "2": "RUNNING"}
    assert "no longer knows job 1" in caplog.text
    assert states(slurm, job2="COMPLETED") == {"2": "COMPLETED"}
    assert states(slurm) == {}, "its end was seen"


def test_a_job_that_an_answer_lacked_once_goes_on(slurm):
    states(slurm, job1="RUNNING")
    for _ in range(2):
        assert states(slurm) == {}
        assert states(slurm, job1="RUNNING") == {"1": "RUNNING"}


def test_slurm_that_says_nothing_forgets_nothing(slurm):
    states(slurm, job1="RUNNING")
    slurm.says = None
    assert asyncio.run(slurm.query_job_status("squeue", logging.getLogger("test"))) == (None, None)
    assert states(slurm, job1="RUNNING") == {"1": "RUNNING"}


def test_waiting_jobs_of_an_array_are_not_forgotten_when_they_start(slurm):
    states(slurm, **{"7_[1-2]": "PENDING"})
    assert states(slurm, **{"7_1": "RUNNING"}) == {"7_1": "RUNNING"}


def test_how_long_slurm_remembers_is_kept(slurm):
    slurm.age = None
    assert slurm.get_min_job_age() == 300, "Slurm's default"
    slurm.age = 60
    assert slurm.get_min_job_age() == 60
    slurm.age = None
    assert slurm.get_min_job_age() == 60


def test_the_executor_still_calls_what_is_replaced():
    """An upgrade has to look at this again."""
    source = inspect.getsource(plugin.Executor.check_active_jobs)
    assert "await query_job_status(" in source and f'"{FORGOTTEN}"' in source
    assert '"PREEMPTED"' in source and "get_min_job_age(" in inspect.getsource(plugin)


def test_an_executor_of_another_version_is_left_as_it_is(caplog):
    executor = SimpleNamespace(get_min_job_age=1, query_job_status=2)
    patch_executor(executor, "2.9.0")
    assert (executor.get_min_job_age, executor.query_job_status) == (1, 2)
    assert f"is 2.9.0, not {VERSION}" in caplog.text


def test_the_installed_executor_is_of_that_version():
    assert version("snakemake-executor-plugin-slurm") == VERSION


@pytest.mark.parametrize("path", [PROFILE, ROOT / "docs/cluster.md"], ids=lambda path: path.name)
def test_the_plugin_takes_each_gpu_model_that_is_shown(path):
    shown = re.findall(r"gpu_model: ([^\s`,]+)", path.read_text("utf-8"))
    assert shown
    for model in shown:
        job = SimpleNamespace(resources=Resources(gpu=8, gpu_model=model))
        assert set_gres_string(job) == f" --gpus={model}:8"


class Resources(dict):
    """A job's resources, as the plugin reads them: by name, or as attributes."""

    __getattr__ = dict.__getitem__


def test_no_gpu_waits_while_answers_are_judged():
    groups = yaml.safe_load(PROFILE.read_text("utf-8"))["groups"]
    rules = "".join(path.read_text("utf-8") for path in (ROOT / "rules").glob("*.smk"))
    start = r"^ *(?:rule|use rule (\w+) as) (\w+)"
    blocks = re.findall(start + r"(.*(?:\n(?! *(?:use )?rule ).*)*)", rules, re.MULTILINE)
    own = {name for _, name, text in blocks if "gpu=" in text or "accelerators()" in text}
    own |= {name for base, name, _ in blocks if base in own}
    assert {"train_student", "generate_samples", "generate_in_style", "run_duel"} <= own
    assert not own & groups.keys()
