"""What jobs ask of a scheduler because of the run's config; what else a job asks for (memory, time,
partition) stands in profiles/slurm/config.yaml.

needs: nothing
makes: nothing
"""

import json
from importlib.metadata import version

from aiev.engine.slurm import patch_executor
from aiev.engine.store import open_store
from aiev.llm.endpoints import gpus_of, needs_weights


def server_threads(*models):
    """CPU threads of a job that asks these models, one at a time."""
    servers = config["execution"]["models"]
    return max(servers[role_of(model)]["threads"] for model in models)


def server_gpus(*models):
    """GPUs of a job that asks these models, one at a time: as many as the largest of them needs.
    Its rule asks for one node too, as Slurm may spread GPUs alone over several."""
    servers = config["execution"]["models"]
    return max(
        gpus_of({**model_params(model), **servers[role_of(model)]}) for model in models
    )


def author_gpus(w, input):
    """GPUs of the model that writes a round's dialogues. The file in which the gate names it is
    missing until the gate has decided: then Snakemake asks again."""
    if not (config["rounds"]["self_learning"] and input.next):
        return server_gpus("teacher")
    decision = json.loads(Path(input.next[0]).read_text("utf-8"))
    return server_gpus(decision["author"])


def accelerators():
    """What training asks for. More processes than one are started by srun (aiev.training.launch);
    `mpi` is the executor's word for a job that calls it itself."""
    count = config["training"]["accelerators"]
    # On one machine a model server would be started on the same GPUs.
    gpus = (
        {"gpu": count, "tasks_per_gpu": 0, "model_server": 1}
        if config["training"]["accelerator"] == "cuda"
        else {}
    )
    several = {"tasks": count, "mpi": "srun"} if count > 1 else {}
    # Where a profile does not say otherwise: Slurm may spread GPUs and tasks each in its own way.
    return gpus | {"nodes": 1} | several


def unless_copied(resources):
    """The same for the final model, which is a copy of the last round's student and asks for no
    accelerator, unless that student is no longer in the action store."""

    def asked(name):
        copying = {"gpu": 0, "nodes": 1}.get(name)
        return lambda w, input: copying if is_stored(input.same) else resources[name]

    return {name: asked(name) for name in resources}


def is_stored(path):
    """Whether the action that made an output can be restored; true before the output is made."""
    store = open_store()
    note = store.made(Path(path))
    return note is None or store.entry(note["key"]).exists()


if "snakemake_executor_plugin_slurm" in sys.modules:
    patch_executor(
        sys.modules["snakemake_executor_plugin_slurm"],
        version("snakemake-executor-plugin-slurm"),
    )
