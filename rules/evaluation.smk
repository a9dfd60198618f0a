"""Scores: greedy answers of each model to a benchmark's problems, judged by EvalPlus in the sandbox.

needs: resources/{resource}/{file}, the models' weights
makes: resources/benchmarks/{benchmark}.jsonl           all problems, in EvalPlus's format
       results/{run}/eval/{benchmark}.jsonl             the problems that this run scores
       results/{run}/eval/{benchmark}.proof.json        their canonical solutions, scored here
       results/{run}/eval/{model}/{benchmark}/samples.jsonl  eval_results.json  score.json
"""

# The kinds of the benchmarks that the config names, and no other, are part of the jobs' code.
BENCHMARK_CODE = sorted(
    {
        BENCHMARK_KINDS.source(each["kind"])
        for each in config["evaluation"]["benchmarks"].values()
    }
)


def scored(w):
    """The config of the wildcards' benchmark, with its name."""
    return {**benchmark(w), "name": w.benchmark}


rule prepare_benchmark:
    input:
        source=lambda w: resource_file(benchmark(w)["resource"]),
    output:
        "resources/benchmarks/{benchmark}.jsonl",
    log:
        "logs/resources/benchmarks/{benchmark}.log",
    benchmark:
        "benchmarks/resources/benchmarks/{benchmark}.tsv"
    threads: config["evaluation"]["scoring"]["parallel"]
    params:
        settings=lambda w: hashed_config(
            *("evaluation.max_inputs", "evaluation.scoring.limits", *SANDBOX),
            kind=benchmark(w)["kind"],
            **IMAGE,
        ),
    shell:
        main("prepare_benchmark", *BENCHMARK_CODE, execution=execution_config())
        + "--source {input.source:q} --problems {output:q}"


rule choose_problems:
    input:
        "resources/benchmarks/{benchmark}.jsonl",
    output:
        "results/{run}/eval/{benchmark}.jsonl",
    log:
        "logs/{run}/eval/{benchmark}.log",
    benchmark:
        "benchmarks/{run}/eval/{benchmark}.tsv"
    params:
        settings=lambda w: hashed_config(subset=benchmark(w)["subset"]),
    shell:
        main("choose_problems") + "--problems {input:q} --chosen {output:q}"


rule prove_benchmark:
    input:
        "results/{run}/eval/{benchmark}.jsonl",
    output:
        "results/{run}/eval/{benchmark}.proof.json",
    log:
        "logs/{run}/eval/{benchmark}.proof.log",
    benchmark:
        "benchmarks/{run}/eval/{benchmark}.proof.tsv"
    threads: config["evaluation"]["scoring"]["parallel"]
    params:
        settings=lambda w: hashed_config(
            *("evaluation.scoring", *SANDBOX), benchmark=scored(w), **IMAGE
        ),
    shell:
        main("prove_benchmark", *BENCHMARK_CODE, execution=execution_config())
        + "--problems {input:q} --proof {output:q}"


rule generate_samples:
    input:
        problems="results/{run}/eval/{benchmark}.jsonl",
        weights=evaluated,
    output:
        "results/{run}/eval/{model}/{benchmark}/samples.jsonl",
    log:
        "logs/{run}/eval/{model}/{benchmark}/samples.log",
    benchmark:
        "benchmarks/{run}/eval/{model}/{benchmark}/samples.tsv"
    threads: lambda w: server_threads(w.model)
    resources:
        model_server=1,
        nodes=1,
        gpu=lambda w: server_gpus(w.model),
    params:
        settings=lambda w: hashed_config("evaluation.max_tokens", model=asked(w.model)),
    shell:
        main("generate_samples", *BENCHMARK_CODE, execution=execution_config())
        + "--problems {input.problems:q} --weights {input.weights:q} --samples {output:q}"


rule score_samples:
    input:
        problems="results/{run}/eval/{benchmark}.jsonl",
        proof="results/{run}/eval/{benchmark}.proof.json",
        samples="results/{run}/eval/{model}/{benchmark}/samples.jsonl",
    output:
        results="results/{run}/eval/{model}/{benchmark}/eval_results.json",
        score="results/{run}/eval/{model}/{benchmark}/score.json",
    log:
        "logs/{run}/eval/{model}/{benchmark}/score.log",
    benchmark:
        "benchmarks/{run}/eval/{model}/{benchmark}/score.tsv"
    threads: config["evaluation"]["scoring"]["parallel"]
    params:
        settings=lambda w: hashed_config(
            *("evaluation.scoring", *SANDBOX),
            benchmark=scored(w),
            model=w.model,
            **IMAGE,
        ),
    shell:
        main("score_samples", *BENCHMARK_CODE, execution=execution_config())
        + "--problems {input.problems:q} --proof {input.proof:q} --samples {input.samples:q}"
        + " --results {output.results:q} --score {output.score:q}"
