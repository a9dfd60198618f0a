"""The size of a model from its config.json alone: parameters, activations, operations.

Nothing is loaded, so that a run can be planned before a weight is downloaded. Field names are those
of transformers' configs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiev.core.errors import UserError

GATED = ("llama", "mistral", "qwen2")
"""Model types with RMSNorm and a gated MLP of three matrices (SwiGLU)."""

PLAIN = ("starcoder2",)
"""Model types with LayerNorm and an MLP of two matrices."""

_NEEDED = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_hidden_layers",
    "vocab_size",
)


@dataclass(frozen=True)
class Shape:
    """A decoder-only transformer.

    kind: its `model_type`. head: width of one attention head. tied: whether input and output
    embeddings are one matrix. qkv_bias, out_bias, mlp_bias: which linear layers have biases.
    """

    kind: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    tied: bool
    qkv_bias: bool
    out_bias: bool
    mlp_bias: bool

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str = "config.json") -> "Shape":
        """From the fields of a config.json. Raises UserError where one is missing, or for a
        model type whose layers are not known here."""
        kind = config.get("model_type")
        if kind not in GATED + PLAIN:
            known = ", ".join(GATED + PLAIN)
            hint = f"known are {known}; the run itself does not need this"
            raise UserError(
                f"the size of a model of type {kind!r} is not known", where=where, hint=hint
            )
        for name in _NEEDED:
            if type(config.get(name)) is not int or config[name] < 1:
                message = f"{name} is {config.get(name)!r}, and a whole number above 0 is needed"
                hint = "copy the field from the model's config.json"
                raise UserError(message, where=where, hint=hint)
        heads = config["num_attention_heads"]
        bias = bool(config.get("attention_bias")) if kind == "llama" else False
        biases = bool(config.get("use_bias", True)) if kind in PLAIN else False
        return cls(
            kind=kind,
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head=config.get("head_dim") or config["hidden_size"] // heads,
            vocabulary=config["vocab_size"],
            tied=bool(config.get("tie_word_embeddings", kind in PLAIN)),
            qkv_bias=bias or biases or kind == "qwen2",
            out_bias=bias or biases,
            mlp_bias=biases or (kind == "llama" and bool(config.get("mlp_bias"))),
        )

    @property
    def attention(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head

    @property
    def keys(self) -> int:
        """Width of all key heads together, and of all value heads."""
        return self.kv_heads * self.head

    @property
    def layer_parameters(self) -> int:
        """Parameters of one layer."""
        gated = self.kind in GATED
        projected = self.attention + 2 * self.keys
        attention = self.hidden * projected + self.attention * self.hidden
        attention += projected * self.qkv_bias + self.hidden * self.out_bias
        inner = self.intermediate * (2 if gated else 1)
        mlp = self.hidden * (inner + self.intermediate)
        mlp += (inner + self.hidden) * self.mlp_bias
        return attention + mlp + 2 * self._norm

    @property
    def parameters(self) -> int:
        """All parameters, a tied matrix once."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return embeddings + self.layers * self.layer_parameters + self._norm

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each linear layer in a layer, by transformers' names."""
        wide, narrow = (self.hidden, self.intermediate), (self.intermediate, self.hidden)
        mlp = {"c_fc": wide, "c_proj": narrow}
        if self.kind in GATED:
            mlp = {"gate_proj": wide, "up_proj": wide, "down_proj": narrow}
        return {
            "q_proj": (self.hidden, self.attention),
            "k_proj": (self.hidden, self.keys),
            "v_proj": (self.hidden, self.keys),
            "o_proj": (self.attention, self.hidden),
            **mlp,
        }

    @property
    def _norm(self) -> int:
        return self.hidden * (1 if self.kind in GATED else 2)

    def layer_activations(self, bytes_each: int, frozen: bool = False) -> int:
        """Bytes that one layer keeps for the backward pass, for each token.

        After Korthikanti et al. (arXiv 2205.05198, 4.1), for attention that keeps no matrix of
        tokens by tokens (SDPA, FlashAttention), without dropout, and with the norms of
        transformers, which compute in float32. bytes_each: of one number in the computation.
        frozen: the norms' weights are not trained.
        """
        gated = self.kind in GATED
        norm = self.hidden * bytes_each  # its output, which the next matrices read
        if gated:  # float32 input and, for the weight's gradient, its normalised form
            norm += self.hidden * (4 if frozen else 4 + bytes_each) + 4
        else:
            norm += self.hidden * bytes_each + 2 * 4
        # Queries, keys and values after the rotation; what they give, as the kernel and as the
        # output matrix read it; the logarithms of the sums of the softmax.
        attention = (2 * self.attention + 2 * self.keys) * bytes_each + 4 * self.heads
        mlp = self.intermediate * bytes_each * (4 if gated else 2)
        return 2 * norm + attention + mlp

    def operations(self, tokens: int, adapter: int | None = None) -> float:
        """Floating-point operations of training on one token of a sequence of `tokens`, forward
        and backward: 6 for each parameter of a matrix, and the attention over the tokens before
        it, half of them on average (Chowdhery et al., arXiv 2204.02311, appendix B, counts all).
        adapter: how many parameters are trained beside the matrices, which then need no gradients
        of their own: 4 for each of theirs.
        """
        matrices = self.layers * self.layer_parameters + self.vocabulary * self.hidden
        each = 6 * matrices if adapter is None else 4 * matrices + 6 * adapter
        return each + 12 * self.layers * self.attention * tokens / 2
