"""A llama.cpp server in a process of its own: `python -m aiev.llm.endpoints._llamacpp_server`.

Its own process, so that a crash inside the model's native code is an error that can be reported,
and so that the kernel ends it with the job that started it. Prints one line with its address.
"""

import argparse
import json
import signal
import sys

import xllamacpp


def parameters(settings: dict) -> xllamacpp.CommonParams:
    """Server parameters for `settings`: model, name, threads, gpu_layers, conversations (whose
    prompts are kept side by side), context (tokens of each) and special_tokens (whether answers
    show them)."""
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {settings["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = settings["conversations"]
    params.n_ctx = settings["context"] * settings["conversations"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.n_gpu_layers = settings["gpu_layers"]
    # Otherwise special tokens are left out of answers, those of the interpreter too.
    params.special = settings["special_tokens"]
    # With a memory for each, llama.cpp computes only neighbouring places together: conversations
    # that are under way in places 0, 3, 4 and 7 took a third longer.
    params.kv_unified = True
    params.kv_unified_per_slot = settings["context"]
    # Each conversation has its place: no second store of prompts is needed.
    params.cache_ram_mib = 0
    return params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", help="JSON")
    settings = json.loads(parser.parse_args().settings)
    devices = xllamacpp.get_device_info()
    if settings["gpu_layers"] and all("CPU" in device["type"].name for device in devices):
        # llama.cpp would compute on the CPU without a word.
        sys.exit("gpu_layers is not 0, and this build of xllamacpp finds no GPU")
    server = xllamacpp.Server(parameters(settings))
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
