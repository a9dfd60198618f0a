"""A llama.cpp server for one GGUF file, in a process of its own.

The endpoint kind `llamacpp` starts it, on a free port: in its own process, so that a crash inside
the model's native code is an error that can be reported, and so that the kernel ends it with the
job that started it. It can be started by hand, too, for the kind `openai`:

    python -m aiev.llm.llamacpp_server model.gguf --port 8080

Prints one line with its address, and serves until it is stopped.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import xllamacpp


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command line; by default those of this process."""
    parser = argparse.ArgumentParser(prog="python -m aiev.llm.llamacpp_server")
    parser.add_argument("model", help="the GGUF file")
    parser.add_argument("--name", default="model", help="the model's name in answers")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument(
        "--conversations", type=int, default=4, help="whose prompts are kept side by side"
    )
    parser.add_argument("--context", type=int, default=4096, help="tokens of each conversation")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gpu-layers", type=int, default=0, help="of the model on the GPU")
    parser.add_argument(
        "--special-tokens", action="store_true", help="leave special tokens in answers"
    )
    return parser.parse_args(arguments)


def parameters(chosen: argparse.Namespace) -> xllamacpp.CommonParams:
    """Server parameters for `options`."""
    params = xllamacpp.CommonParams()
    params.model.path = chosen.model
    params.model_alias = {chosen.name}
    params.hostnames = ["127.0.0.1"]
    params.port = chosen.port
    params.n_parallel = chosen.conversations
    params.n_ctx = chosen.context * chosen.conversations
    params.cpuparams.n_threads = chosen.threads
    params.cpuparams_batch.n_threads = chosen.threads
    params.n_gpu_layers = chosen.gpu_layers
    # Otherwise special tokens are left out of answers, those of the interpreter too.
    params.special = chosen.special_tokens
    # With a memory for each, llama.cpp computes only neighbouring places together: conversations
    # that are under way in places 0, 3, 4 and 7 took a third longer.
    params.kv_unified = True
    params.kv_unified_per_slot = chosen.context
    # Each conversation has its place: no second store of prompts is needed.
    params.cache_ram_mib = 0
    return params


def main() -> None:
    chosen = options()
    devices = xllamacpp.get_device_info()
    if chosen.gpu_layers and all("CPU" in device["type"].name for device in devices):
        # llama.cpp would compute on the CPU without a word.
        sys.exit("gpu_layers is not 0, and this build of xllamacpp finds no GPU")
    server = xllamacpp.Server(parameters(chosen))
    print(server.listening_address, flush=True)
    with suppress(KeyboardInterrupt):
        signal.pause()


if __name__ == "__main__":
    main()
