"""What jobs ask of a scheduler because of the run's config; what else a job asks for (memory, time,
partition) stands in profiles/slurm/config.yaml.

needs: nothing
makes: nothing
"""

from importlib.metadata import version

from aiev.engine.slurm import patch_executor
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


def accelerators():
    """What training asks for. More processes than one are started by srun (aiev.training.launch);
    `mpi` is the executor's word for a job that calls it itself."""
    count = config["training"]["accelerators"]
    gpus = (
        {"gpu": count, "tasks_per_gpu": 0}
        if config["training"]["accelerator"] == "cuda"
        else {}
    )
    several = {"tasks": count, "mpi": "srun"} if count > 1 else {}
    # Where a profile does not say otherwise: Slurm may spread GPUs and tasks each in its own way.
    return gpus | {"nodes": 1} | several


if "snakemake_executor_plugin_slurm" in sys.modules:
    patch_executor(
        sys.modules["snakemake_executor_plugin_slurm"],
        version("snakemake-executor-plugin-slurm"),
    )
