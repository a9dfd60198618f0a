"""Config keys of training."""

from typing import Annotated, Literal

from pydantic import Field

from aiev.core.settings import Section
from aiev.training.attention import Attention
from aiev.training.learn import Learn
from aiev.training.too_long import TooLong

Scheduler = Literal[
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
]


class LoraSettings(Section):
    """`training.lora`."""

    rank: int = Field(
        16, ge=1, description="Rank of the two matrices that are trained beside each layer."
    )
    alpha: int = Field(32, ge=1, description="Their product is multiplied by alpha / rank.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout on what they read; takes memory at each layer."
    )
    target_modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = Field(
        "all-linear",
        description="Layers that get them: all-linear, all but the output layer; or a list of "
        "names such as q_proj.",
    )


class TrainingExecution(Section):
    """`execution.training`: what changes no byte of a trained model."""

    checkpoint_steps: int = Field(
        0, ge=0, description="Steps between checkpoints, to resume after a crash; 0 for none."
    )


class TrainingSettings(Section):
    """`training`."""

    deepspeed: str = Field(
        "config/deepspeed/zero2.json",
        description='DeepSpeed configuration; its "auto" values are filled from the keys here.',
    )
    seed: int = Field(
        1, ge=0, description="Seed of all randomness in training, new embedding rows included."
    )
    epochs: float = Field(2, gt=0, description="Number of passes over the data.")
    learning_rate: float = Field(
        5e-5,
        gt=0,
        description="Peak learning rate. The paper gives none; 5e-5 is Magicoder's.",
    )
    scheduler: Scheduler = Field(
        "linear", description="Learning-rate schedule, by its name in transformers."
    )
    warmup_ratio: float = Field(
        0.05, ge=0, lt=1, description="Share of the steps in which the learning rate rises."
    )
    weight_decay: float = Field(0.0, ge=0, description="Weight decay of AdamW.")
    max_grad_norm: float = Field(
        1.0,
        ge=0,
        description="Gradients are scaled down to this norm where theirs is larger; 0 for never.",
    )
    micro_batch: int = Field(
        1, ge=1, description="Dialogues in one forward pass on one accelerator."
    )
    global_batch: int = Field(
        4,
        ge=1,
        description="Dialogues in one optimiser step; a multiple of micro_batch x accelerators.",
    )
    packing: bool = Field(
        False,
        description="Lay the dialogues of a micro batch end to end in one row instead of padding "
        "them to the longest; none reads another. Losses stay the same up to rounding.",
    )
    max_tokens: int = Field(
        4096,
        ge=16,
        description="Maximum length of a dialogue, in tokens. See too_long.",
    )
    too_long: TooLong = Field(
        "drop",
        description="What becomes of a longer dialogue, which is counted in any case and never "
        "cut within a message: drop; drop-middle-rounds, where it is trained on without as many "
        "of its failed attempts as it must lose, all but the first one.",
    )
    lora: LoraSettings | None = Field(
        None,
        description="Train small matrices beside the layers (LoRA) and the rows of the tokens that "
        "are new, instead of all weights; null trains all. The saved model is whole. It needs a "
        "higher learning_rate, such as 2e-4.",
    )
    learn: Learn = Field(
        "all",
        description="The assistant's messages that are in the loss, others are read only: all; "
        "passing, all but failed attempts; last, the last one of a dialogue, without any run in "
        "the layout turns.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Number format of the computation."
    )
    attention: Attention = Field(
        "sdpa",
        description="Kernels of attention, by their name in transformers: sdpa, PyTorch's own; "
        "flash_attention_2, those of the package flash-attn, on GPUs in bfloat16.",
    )
    activation_checkpointing: bool = Field(
        False, description="Recompute activations in the backward pass, to save memory."
    )
    deterministic: bool = Field(
        False,
        description="Use only GPU kernels that sum in a fixed order, so that the same GPUs give "
        "the same checkpoint twice; slower. A CPU does so in any case.",
    )
    test_steps: int = Field(
        0,
        ge=0,
        description="Steps between measurements of the loss on the round's test split, which is "
        "also measured before the first step and after the last one; 0 for none. The split is then "
        "an input of the training, and a changed one trains again.",
    )
    accelerator: Literal["cpu", "cuda"] = Field(
        "cpu", description="What DeepSpeed trains on, by DeepSpeed's name."
    )
    accelerators: int = Field(1, ge=1, description="Number of accelerators.")
    threads: int = Field(
        2,
        ge=1,
        description="CPU threads of each process. Sums depend on it, and so does the checkpoint.",
    )
