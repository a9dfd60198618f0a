"""The same workflow on a cluster makes the same files, with training on two nodes."""

import pytest
from cluster import Cluster
from project import Project
from scripted import scripted_endpoint
from test_faults import finish
from tiny import answers

from aiev.core.files import read_json

pytestmark = [pytest.mark.workflow, pytest.mark.slurm]
EXTRA = "    slurm_extra: \"'--ntasks-per-node=1'\"  #"
MANIFEST = "results/tiny/manifest.json"


def test_the_manifest_is_that_of_a_local_run(tmp_path, slurm):
    with scripted_endpoint(answers) as endpoint:
        local = Project(tmp_path / "project", endpoint.url)
        local.make_whole(tmp_path / "mirror")
        local.config["training"] |= {"accelerators": 2}
        local.config["seeds"]["shards"] = 2
        elsewhere = Cluster(local.copy_to(tmp_path / "elsewhere"), slurm)
        code, said = local.run("all", seconds=400)
        assert code == 0, said
        # The profile as it is shipped, but for what it tells a user to uncomment.
        elsewhere.edit_profile(
            ("    # nodes: 2    ", "    slurm_partition: both\n    nodes: 2    "),
            ("    # slurm_extra: \"'--ntasks-per-node=8 --gpus-per-node=8'\"", EXTRA),
        )
        done = finish(elsewhere.start("all"), seconds=400)
        assert done.code == 0, done.said
    own, other = (
        read_json(root / MANIFEST)["artifacts"] for root in (local.root, elsewhere.project.root)
    )
    assert {p: made["sha256"] for p, made in own.items()} == {
        p: made["sha256"] for p, made in other.items()
    }
    assert local.file(MANIFEST) == elsewhere.project.file(MANIFEST)
    log = elsewhere.project.file("logs/tiny/rounds/0/student.log").decode()
    assert "2 nodes" in log, "training was not spread"
