"""What jobs ask of a cluster because of the run's config. A laptop heeds none of it; what else a
job asks for (memory, time, processors, partition) stands in profiles/slurm/config.yaml.

needs: nothing
makes: nothing
"""

from aiev.engine.slurm import mend


def gpus_of(*models):
    """GPUs of a job that serves `models`, one at a time: as many as the largest of them needs.
    Its rule asks for one node too, as Slurm may spread GPUs alone over several."""
    needed = {
        "vllm": lambda model: model["tensor_parallel"],
        "llamacpp": lambda model: int(model["gpu_layers"] != 0),
        "openai": lambda model: 0,
    }
    return max(needed[model["kind"]](model) for model in models)


def accelerators():
    """What training asks for. More processes than one are started by srun (scripts/aiev/launching);
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
    mend(sys.modules["snakemake_executor_plugin_slurm"])
