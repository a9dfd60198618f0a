"""The process that `launch` starts, one for each accelerator: trains and saves a model.

`python -m aiev.training.worker SPEC.json`, under DeepSpeed's launcher or srun. `supervisor` writes
the specification and reads what this prints: lines that begin with EVENT are JSON events, all
others go to the log.
"""

import json
import math
import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json, write_json, write_text
from aiev.training import held_out
from aiev.training.attention import implementation
from aiev.training.encoding import IGNORED
from aiev.training.examples import Examples
from aiev.training.lora import add_adapter, merged
from aiev.training.order import loader
from aiev.training.packing import pack
from aiev.training.token_rows import check_rows, set_rows

EVENT = "\x1eaiev "
LOOPBACK = "lo"
COMPLETE = "complete"
"""Marker file in a checkpoint that was written to its end."""


def main(spec_path: str) -> None:
    _die_with_supervisor()
    set_ranks()
    try:
        _train(read_json(Path(spec_path)))
    except UserError as error:
        # Every rank may print it; the supervisor shows the first.
        _print_event(event="error", message=error.message, where=error.where, hint=error.hint)
        sys.exit(error.exit_code)


def _die_with_supervisor() -> None:
    """End this process and its launcher once the supervisor is gone, even by SIGKILL.

    All processes of the launch inherit the reading end of a pipe as standard input; the supervisor
    alone holds the writing end. A death signal would reach its direct child only.
    """

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="supervisor").start()


def set_ranks() -> None:
    """Set the variables that DeepSpeed reads (rank, world size, address of rank 0) from Slurm's.

    Rank 0 is on the node where srun was called, the job's first."""
    own = os.environ
    if "RANK" in own or "SLURM_PROCID" not in own:
        return
    own["RANK"], own["LOCAL_RANK"] = own["SLURM_PROCID"], own["SLURM_LOCALID"]
    own["WORLD_SIZE"], own["LOCAL_WORLD_SIZE"] = own["SLURM_NTASKS"], "1"
    own["MASTER_ADDR"] = own["SLURM_LAUNCH_NODE_IPADDR"]
    if int(own["SLURM_STEP_NUM_NODES"]) > 1 and own.get("GLOO_SOCKET_IFNAME") == LOOPBACK:
        # Loopback reaches no other node; an interface that the user named stays.
        del own["GLOO_SOCKET_IFNAME"]


def _train(spec: dict[str, Any]) -> None:
    import torch
    from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    params = spec["params"]
    if params["accelerator"] == "cpu":
        _without_compiler()
    # The arguments come first: with ZeRO-3 they decide how the model's weights are loaded.
    arguments = TrainingArguments(**_arguments(spec))
    if params["accelerator"] == "cpu" and params["accelerators"] > 1:
        _join_processes()
    set_seed(params["seed"])

    class Ordered(Trainer):
        def get_train_dataloader(self):
            return loader(self, params["seed"])

    trainer = Ordered(
        model=_student(spec),
        args=arguments,
        train_dataset=Examples(Path(spec["examples"])),
        data_collator=pack if params["packing"] else partial(collate, padding=spec["padding"]),
        callbacks=[_callback()],
    )
    trainer.remove_callback(PrinterCallback)
    if spec["test"]:
        test = Examples(Path(spec["test"]))
        trainer.add_callback(held_out.callback(trainer, test, params["test_steps"], _emit))
    trainer.train(resume_from_checkpoint=spec["resume"])
    _save(trainer, spec, getattr(torch, spec["dtype"]))
    if trainer.is_world_process_zero():
        write_json(Path(spec["result"]), _result(trainer))


def _student(spec: dict[str, Any]):
    """The model to train, with rows for the new tokens."""
    import torch
    from transformers import AutoModelForCausalLM

    params = spec["params"]
    model = AutoModelForCausalLM.from_pretrained(
        spec["student"],
        dtype=getattr(torch, params["precision"]),
        local_files_only=True,
        attn_implementation=implementation(params),
    )
    # The rows that this adds are set right after; estimating their mean and covariance would only
    # cost time.
    model.resize_token_embeddings(spec["vocabulary"], mean_resizing=False)
    words = {int(token): ids for token, ids in spec["new_rows"].items()}
    set_rows(model, words, params["seed"])
    check_rows(model, spec["special_tokens"])
    if params["lora"]:
        return add_adapter(model, params["lora"], spec["trained_rows"], params["seed"])
    return model


def _without_compiler() -> None:
    """Keep DeepSpeed from compiling its shared-memory collectives (a minute, and needs g++).

    It builds them on a CPU when its table says that it could; without them gloo does the work.
    """
    import deepspeed

    deepspeed.ops.__compatible_ops__ = {"deepspeed_shm_comm": False}


def _join_processes() -> None:
    """Tell DeepSpeed of the other processes before ZeRO-3 loads the model's weights in parts.

    accelerate does so where there are GPUs; on a CPU it joins them for PyTorch alone."""
    import deepspeed

    deepspeed.init_distributed("gloo", auto_mpi_discovery=False, verbose=False)


def _arguments(spec: dict[str, Any]) -> dict[str, Any]:
    params = spec["params"]
    steps = spec["checkpoint_steps"]
    return {
        "output_dir": spec["checkpoints"],
        "deepspeed": spec["deepspeed"],
        "use_cpu": params["accelerator"] == "cpu",
        "seed": params["seed"],
        "data_seed": params["seed"],
        "num_train_epochs": params["epochs"],
        "learning_rate": params["learning_rate"],
        "warmup_steps": params["warmup_ratio"],
        "weight_decay": params["weight_decay"],
        # DeepSpeed's gradient_clipping, where its file says "auto".
        "max_grad_norm": params["max_grad_norm"],
        "lr_scheduler_type": params["scheduler"],
        "per_device_train_batch_size": params["micro_batch"],
        "gradient_accumulation_steps": spec["accumulation"],
        "activation_checkpointing": params["activation_checkpointing"],
        "bf16": params["precision"] == "bfloat16",
        "full_determinism": params["deterministic"],
        "optim": "adamw_torch_fused",
        "save_strategy": "steps" if steps else "no",
        "save_steps": steps or 1,
        # Two, so that a crash while the newest is being written leaves a complete one.
        "save_total_limit": 2,
        "logging_steps": 1,
        # It would replace a loss that is not finite by the mean of those before.
        "logging_nan_inf_filter": False,
        # A packed row has no padding, and no attention mask to tell it by.
        "include_num_input_tokens_seen": "all" if params["packing"] else "non_padding",
        "remove_unused_columns": False,
        "dataloader_pin_memory": params["accelerator"] != "cpu",
        "disable_tqdm": True,
        "report_to": "none",
    }


def collate(rows: Sequence[dict[str, Any]], padding: int) -> dict[str, Any]:
    """Tensors (rows, longest row) of a micro batch, padded on the right, without loss there."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)

    def padded(arrays, value: int):
        return torch.stack(
            [
                torch.nn.functional.pad(torch.as_tensor(a), (0, longest - len(a)), value=value)
                for a in arrays
            ]
        )

    return {
        "input_ids": padded([row["input_ids"] for row in rows], padding),
        "labels": padded([row["labels"] for row in rows], IGNORED),
        "attention_mask": padded([torch.ones(len(row["labels"])).long() for row in rows], 0),
    }


def _callback():
    from transformers import TrainerCallback

    class Events(TrainerCallback):
        """Prints progress for the supervisor, and marks checkpoints that are complete."""

        def on_train_begin(self, args, state, control, **_):
            _emit(state, event="begin", step=state.global_step, steps=state.max_steps)

        def on_log(self, args, state, control, logs=None, **_):
            if logs and "loss" in logs:
                check_finite(logs["loss"], state.global_step)
                tokens = int(state.num_input_tokens_seen)
                _emit(state, event="step", step=state.global_step, loss=logs["loss"], tokens=tokens)

        def on_save(self, args, state, control, **_):
            if state.is_world_process_zero:
                checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                write_text(checkpoint / COMPLETE, "")
                _emit(state, event="checkpoint", step=state.global_step)

    return Events()


def check_finite(loss: float, step: int) -> None:
    """Raise UserError for a loss that is not finite: all further steps would be wasted. The last
    checkpoint is from before, and stays."""
    if not math.isfinite(loss):
        raise UserError(
            f"the loss of step {step} is {loss}",
            where="training",
            hint="lower training.learning_rate, or train with training.precision: float32",
        )


def _emit(state, **event: Any) -> None:
    if state.is_world_process_zero:
        _print_event(**event)


def _print_event(**event: Any) -> None:
    # One write, so that lines of several processes do not mix.
    sys.stdout.write(EVENT + json.dumps(event) + "\n")
    sys.stdout.flush()


def _save(trainer, spec: dict[str, Any], dtype) -> None:
    """Write the whole model as safetensors of the type `dtype`; every process takes part."""
    state = trainer.accelerator.get_state_dict(trainer.deepspeed)
    if not trainer.is_world_process_zero():
        return
    model = trainer.accelerator.unwrap_model(trainer.deepspeed)
    weights, lora = state.items(), spec["params"]["lora"]
    if lora:
        model, weights = model.get_base_model(), merged(state, lora, spec["trained_rows"])
    tied = getattr(model, "all_tied_weights_keys", {}) or {}
    kept = {name: tensor.to(dtype) for name, tensor in weights if name not in tied}
    model.save_pretrained(Path(spec["model"]), state_dict=kept)


def _result(trainer) -> dict[str, Any]:
    """Losses by step, those before a resumed checkpoint too. No durations: two runs are equal."""
    steps = [
        {"step": line["step"], "loss": line["loss"], "learning_rate": line["learning_rate"]}
        for line in trainer.state.log_history
        if "loss" in line
    ]
    return {
        "steps": steps,
        "test_losses": held_out.losses(trainer.state.log_history),
        "tokens_read": int(trainer.state.num_input_tokens_seen),
    }


if __name__ == "__main__":
    main(sys.argv[-1])
