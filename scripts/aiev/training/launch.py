"""How the processes of a training are started, one for each accelerator.

On one machine DeepSpeed's own launcher does it. In a Slurm job with a task for each process srun
does: the cluster then knows, places, counts and ends every one of them on whatever nodes the job
has. DeepSpeed's launcher would reach the other nodes by ssh, which most clusters forbid and Slurm
does not see; torchrun would put an agent of its own between Slurm and the processes. Which process
is which, and where the first one listens, comes from the job (`worker` reads it), not the config.
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
    """Command that starts all processes of the training `spec`, and its environment."""
    processors = processors_of_job(params["accelerators"])
    port = free_port("" if processors else "127.0.0.1")
    if not processors:
        return _deepspeed(spec, params, port), environment(params)
    command = ["srun", f"--ntasks={params['accelerators']}", f"--cpus-per-task={processors}"]
    # One that fails takes the others with it: they would wait for it for ever.
    command += ["--kill-on-bad-exit=1", "--mpi=none", sys.executable, "-u", "-m"]
    own = {"MASTER_PORT": str(port)}
    return [*command, worker.__name__, str(spec)], environment(params) | own


def _deepspeed(spec: Path, params: Mapping[str, Any], port: int) -> list[str]:
    return [
        *(sys.executable, "-u", "-m", "deepspeed.launcher.runner"),
        # A cluster's own host file must not turn a local run into one over ssh.
        *("--hostfile", os.devnull, *_devices(params)),
        *("--master_addr", "127.0.0.1", "--master_port", str(port)),
        *("--no_local_rank", "--module", worker.__name__, str(spec)),
    ]


def _devices(params: Mapping[str, Any]) -> list[str]:
    """Options that say which accelerators to use. Given a number, DeepSpeed takes the machine's
    first ones, even if they belong to another job; so the GPUs of this job are named.

    Raises UserError where it was given too few.
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
    """Processors of each task of the Slurm job that this is, if srun shall start its tasks; else 0.

    Slurm itself is asked: of the job's environment its executor leaves little but the number.
    Raises UserError for a job with another number of tasks than the training has processes.
    """
    job = os.environ.get("SLURM_JOB_ID")
    # Within a step, srun has begun already: Snakemake's executor starts all other jobs so.
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
            hint="let the profile leave `tasks` to the workflow",
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
    """This process's environment without keys, and what makes two runs give the same bytes."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_KEY", "_TOKEN", "_SECRET"))}
    kept |= {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DS_ACCELERATOR": params["accelerator"],
        # Sums depend on how many threads share them and on the width of the vector units.
        "OMP_NUM_THREADS": str(params["threads"]),
        "MKL_NUM_THREADS": str(params["threads"]),
        # Beside another busy process, threads that spin at a barrier cost a factor of four.
        "OMP_WAIT_POLICY": "PASSIVE",
        "MKL_CBWR": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME") or worker.LOOPBACK,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return kept
