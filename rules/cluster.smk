"""What jobs ask of a cluster because of the run's config. A laptop heeds none of it; what else a
job asks for (memory, time, processors, partition) stands in profiles/slurm/config.yaml.

needs: nothing
makes: nothing
"""


def gpus_of(*models):
    """GPUs of a job that serves `models`, one at a time: as many as the largest of them needs."""
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
    return {**gpus, **({"tasks": count, "mpi": "srun"} if count > 1 else {})}


def remember_job_age():
    """Let the executor keep what Slurm once told of itself, or take Slurm's own default.

    It asks each time anew how long Slurm knows of jobs that ended; where the controller is away in
    that moment it asks sacct for them instead, and without accounting never hears of a job again.
    """
    plugin = sys.modules.get("snakemake_executor_plugin_slurm")
    if not plugin:
        return
    ask, known = plugin.get_min_job_age, [300]

    def age():
        found = ask()
        if found is not None:
            known[0] = found
        return known[0]

    plugin.get_min_job_age = age


remember_job_age()
