"""A Slurm of our own for the tests, and the small project run through it."""

import os
import shutil
import subprocess

import pytest
from cluster import HELPER, Cluster, helper
from needs import unavailable
from project import Project


@pytest.fixture(scope="session")
def slurm():
    """The environment of the Slurm that tests/slurm starts; one that ran is left running."""
    ran = subprocess.run([HELPER, "status"], capture_output=True).returncode == 0
    if not ran and (os.geteuid() != 0 or not all(map(shutil.which, ("slurmctld", "munged")))):
        unavailable("needs root, slurm-wlm and munge, for a Slurm of its own (tests/slurm)")
    try:
        said = helper("start")
        shown = ["bash", "-c", f'{said}\necho "$SLURM_CONF"; echo "$PATH"']
        conf, path = subprocess.run(shown, capture_output=True, text=True).stdout.split("\n")[:2]
        yield {"SLURM_CONF": conf, "PATH": path}
    finally:
        if not ran:
            helper("stop")


@pytest.fixture
def cluster(tmp_path, scripted, slurm):
    return Cluster(Project(tmp_path / "project", scripted.url), slurm)
