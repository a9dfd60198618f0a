"""Starts the processes of a training, one for each accelerator.

On one machine DeepSpeed's own launcher does it. In a Slurm job with one task for each process, srun
does it, so that Slurm places, counts and ends every process on whatever nodes the job has.
DeepSpeed's launcher would use ssh to reach the other nodes, which most clusters forbid and Slurm
does not see; torchrun would put an agent of its own between Slurm and the processes. Ranks and the
address of rank 0 come from the job (`worker` reads them), not from the config.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.log import log
from aiev.training import worker

VISIBLE = "CUDA_VISIBLE_DEVICES"


def launch(spec: Path, params: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Return the command that starts all processes of the training `spec`, and its environment."""
    processors = processors_of_job(params["accelerators"])
    port = free_port("" if processors else "127.0.0.1")
    if not processors:
        return _deepspeed(spec, params, port), environment(params)
    command = ["srun", f"--ntasks={params['accelerators']}", f"--cpus-per-task={processors}"]
    # A process that fails must end the others: they would wait for it forever.
    command += ["--kill-on-bad-exit=1", "--mpi=none", sys.executable, "-u", "-m"]
    extra = {"MASTER_PORT": str(port)}
    return [*command, worker.__name__, str(spec)], environment(params) | extra


def _deepspeed(spec: Path, params: Mapping[str, Any], port: int) -> list[str]:
    return [
        *(sys.executable, "-u", "-m", "deepspeed.launcher.runner"),
        # A cluster's own host file must not turn a local run into one over ssh.
        *("--hostfile", os.devnull, *_devices(params)),
        *("--master_addr", "127.0.0.1", "--master_port", str(port)),
        *("--no_local_rank", "--module", worker.__name__, str(spec)),
    ]


def _devices(params: Mapping[str, Any]) -> list[str]:
    """Launcher options that name the accelerators.

    Given only their number, DeepSpeed takes the machine's first ones, even if they belong to
    another job; so the GPUs of this job are named.
    Raises UserError where the job has too few.
    """
    count = params["accelerators"]
    given = [each for each in os.environ.get(VISIBLE, "").split(",") if each]
    if params["accelerator"] != "cuda" or not given:
        return ["--num_accelerators", str(count)]
    if len(given) < count:
        raise UserError(
            f"training.accelerators is {count}, and this job has {len(given)} GPUs",
            where=f"environment variable {VISIBLE}",
            hint="lower training.accelerators, or give the job more GPUs",
        )
    if not all(each.isdecimal() for each in given):
        raise UserError(
            "DeepSpeed's launcher takes GPUs by number, and this job has them by name",
            where=f"environment variable {VISIBLE}={','.join(given)}",
            hint=f"set {VISIBLE} to their numbers (nvidia-smi -L) and CUDA_DEVICE_ORDER=PCI_BUS_ID;"
            " parts of a GPU (MIG) have none and cannot be used",
        )
    return ["--include", f"localhost:{','.join(given[:count])}"]


def processors_of_job(accelerators: int) -> int:
    """Processors of each task of this Slurm job, if srun is to start the tasks; else 0.

    Asks Slurm itself: Snakemake's Slurm executor removes most of the job's environment.
    Raises UserError for a job whose number of tasks is not the training's number of processes.
    """
    job = os.environ.get("SLURM_JOB_ID")
    # Within a step srun is running already; Snakemake's executor starts all other jobs that way.
    if accelerators == 1 or not job or "SLURM_STEP_ID" in os.environ:
        return 0
    command = ["scontrol", "show", "job", job, "--oneliner"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = dict(re.findall(r"\b(NumNodes|NumTasks|NumCPUs)=(\d+)", done.stdout))
    if done.returncode or len(found) < 3:
        reason = done.stderr.strip() or "no number of tasks"
        raise UserError(f"Slurm does not describe this job: {reason}", where=" ".join(command))
    tasks, processors = int(found["NumTasks"]), int(found["NumCPUs"])
    if tasks not in (1, accelerators):
        raise UserError(
            f"training.accelerators is {accelerators}, and the Slurm job has {tasks} tasks",
            where=f"Slurm job {job}",
            hint="remove `tasks` from the profile: the workflow sets it",
        )
    if tasks == 1:
        return 0
    log.info("srun starts %d processes on %s nodes", tasks, found["NumNodes"])
    return max(processors // tasks, 1)


def free_port(host: str) -> int:
    """A port that was free a moment ago; host "" for all addresses of this machine."""
    try:
        with socket.create_server((host, 0)) as server:
            return server.getsockname()[1]
    except OSError as error:
        where = "loopback " if host else ""
        hint = "end some other program, then run again"
        raise UserError(f"no free {where}port: {error.strerror}", hint=hint) from error


def environment(params: Mapping[str, Any]) -> dict[str, str]:
    """This process's environment without API keys, plus what makes two runs give the same bytes."""
    own = {k: v for k, v in os.environ.items() if not k.endswith(("_KEY", "_TOKEN", "_SECRET"))}
    return own | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DS_ACCELERATOR": params["accelerator"],
        # Sums depend on how many threads share them and on the width of the vector units.
        "OMP_NUM_THREADS": str(params["threads"]),
        "MKL_NUM_THREADS": str(params["threads"]),
        # With another busy process, threads that spin at a barrier cost a factor of four.
        "OMP_WAIT_POLICY": "PASSIVE",
        "MKL_CBWR": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME") or worker.LOOPBACK,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
