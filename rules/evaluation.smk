"""Scores: greedy answers of each model to a benchmark's problems, judged by EvalPlus in the sandbox.

needs: resources/{resource}/{file}, the models' weights
makes: resources/benchmarks/{benchmark}.jsonl           all problems, in EvalPlus's format
       results/{run}/eval/{benchmark}.jsonl             the problems that this run scores
       results/{run}/eval/{benchmark}.proof.json        their canonical solutions, scored here
       results/{run}/eval/{model}/{benchmark}/samples.jsonl  eval_results.json  score.json
"""


rule prepare_benchmark:
    input:
        source=lambda w: resource_file(benchmark(w)["resource"]),
    output:
        "resources/benchmarks/{benchmark}.jsonl",
    log:
        "logs/resources/benchmarks/{benchmark}.log",
    benchmark:
        "benchmarks/resources/benchmarks/{benchmark}.tsv"
    threads: 2
    params:
        settings=as_json(
            {
                "most_inputs": config["evaluation"]["most_inputs"],
                "limits": config["evaluation"]["scoring"]["limits"],
                **sandbox(),
            }
        ),
        code=code("prepare_benchmark"),
    shell:
        main("prepare_benchmark", aside=boxes())
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
        settings=lambda w: as_json({"subset": benchmark(w)["subset"]}),
        code=code("choose_problems"),
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
    threads: 2
    params:
        settings=lambda w: scoring_settings(w),
        code=code("prove_benchmark"),
    shell:
        main("prove_benchmark", aside=boxes())
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
    threads: 2
    resources:
        model_server=1,
        nodes=1,
        gpu=lambda w: gpus_of(TEACHER if w.model == "teacher" else STUDENT),
    params:
        settings=evaluated_settings,
        code=code("generate_samples"),
    shell:
        main("generate_samples", aside=asking())
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
    threads: 2
    params:
        settings=lambda w: scoring_settings(w, model=w.model),
        code=code("score_samples"),
    shell:
        main("score_samples", aside=boxes())
        + "--problems {input.problems:q} --proof {input.proof:q} --samples {input.samples:q}"
        + " --results {output.results:q} --score {output.score:q}"
