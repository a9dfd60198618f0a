"""Scores: greedy answers of each model to a benchmark's tasks, judged in the sandbox.

needs: resources/{resource}/{file}, the models' weights
makes: resources/benchmarks/{benchmark}.jsonl           all tasks, in the form that its kind reads
       results/{run}/eval/{benchmark}.jsonl             the tasks that this run scores
       results/{run}/eval/{benchmark}.validation.json   their canonical solutions, scored
       results/{run}/eval/{model}/{benchmark}/samples.jsonl  eval_results.json  score.json
       results/{run}/eval/{model}/{benchmark}/interpreter/   the same, with evaluation.interpreter
       results/{run}/eval/{model}/{benchmark}/styles/{style}/  the same, in another prompt style
       results/{run}/eval/{model}/styles.json  styles.md       all styles beside each other, on request
       results/{run}/eval/{model}/run_rate.json         where evaluation.run_rate asks for it
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
    threads: config["execution"]["scoring_slots"]
    params:
        settings=lambda w: hashed_config(
            *("evaluation.scoring.limits", *SANDBOX),
            benchmark=benchmark_params(w.benchmark),
            **IMAGE,
        ),
        kind_code=benchmark_code("prepare_benchmark"),
        modules=lambda w: benchmark_modules(w.benchmark),
    shell:
        main("prepare_benchmark", execution=execution_config())
        + "--modules {params.modules:q} --source {input.source:q} --problems {output:q}"


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
        settings=lambda w: hashed_config(
            benchmark=benchmark_params(w.benchmark, *SUBSETS)
        ),
        kind_code=benchmark_code("choose_problems"),
        modules=lambda w: benchmark_modules(w.benchmark),
    shell:
        main("choose_problems")
        + "--modules {params.modules:q} --problems {input:q} --chosen {output:q}"


rule validate_benchmark:
    input:
        "results/{run}/eval/{benchmark}.jsonl",
    output:
        "results/{run}/eval/{benchmark}.validation.json",
    log:
        "logs/{run}/eval/{benchmark}.validation.log",
    benchmark:
        "benchmarks/{run}/eval/{benchmark}.validation.tsv"
    threads: config["execution"]["scoring_slots"]
    params:
        settings=lambda w: hashed_config(
            *("evaluation.scoring", *SANDBOX),
            benchmark=benchmark_params(w.benchmark, "known_exceptions"),
            **IMAGE,
        ),
        kind_code=benchmark_code("validate_benchmark"),
        modules=lambda w: benchmark_modules(w.benchmark),
    shell:
        main("validate_benchmark", execution=execution_config())
        + "--modules {params.modules:q} --problems {input:q} --validation {output:q}"


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
        settings=lambda w: hashed_config(
            "evaluation.max_tokens",
            benchmark=benchmark_params(w.benchmark),
            model=model_params(w.model),
            style=asked_style(w),
        ),
        kind_code=asking_code("generate_samples"),
        modules=lambda w: [*benchmark_modules(w.benchmark), *endpoint_modules(w.model)],
    shell:
        main("generate_samples", execution=execution_config())
        + "--modules {params.modules:q} --problems {input.problems:q} --weights {input.weights:q} --samples {output:q}"


rule score_samples:
    input:
        problems="results/{run}/eval/{benchmark}.jsonl",
        validation="results/{run}/eval/{benchmark}.validation.json",
        samples="results/{run}/eval/{model}/{benchmark}/samples.jsonl",
    output:
        results="results/{run}/eval/{model}/{benchmark}/eval_results.json",
        score="results/{run}/eval/{model}/{benchmark}/score.json",
    log:
        "logs/{run}/eval/{model}/{benchmark}/score.log",
    benchmark:
        "benchmarks/{run}/eval/{model}/{benchmark}/score.tsv"
    threads: config["execution"]["scoring_slots"]
    params:
        settings=lambda w: hashed_config(
            *("evaluation.scoring", *SANDBOX),
            benchmark=benchmark_params(w.benchmark, "known_exceptions", *SUBSETS),
            model=w.model,
            style=asked_style(w),
            **IMAGE,
        ),
        kind_code=benchmark_code("score_samples"),
        modules=lambda w: benchmark_modules(w.benchmark),
    shell:
        main("score_samples", execution=execution_config())
        + "--modules {params.modules:q} --problems {input.problems:q} --validation {input.validation:q} --samples {input.samples:q}"
        + " --results {output.results:q} --score {output.score:q}"


use rule generate_samples as generate_in_style with:
    output:
        "results/{run}/eval/{model}/{benchmark}/styles/{style}/samples.jsonl",
    log:
        "logs/{run}/eval/{model}/{benchmark}/styles/{style}/samples.log",
    benchmark:
        "benchmarks/{run}/eval/{model}/{benchmark}/styles/{style}/samples.tsv"


use rule score_samples as score_in_style with:
    input:
        problems="results/{run}/eval/{benchmark}.jsonl",
        validation="results/{run}/eval/{benchmark}.validation.json",
        samples="results/{run}/eval/{model}/{benchmark}/styles/{style}/samples.jsonl",
    output:
        results="results/{run}/eval/{model}/{benchmark}/styles/{style}/eval_results.json",
        score="results/{run}/eval/{model}/{benchmark}/styles/{style}/score.json",
    log:
        "logs/{run}/eval/{model}/{benchmark}/styles/{style}/score.log",
    benchmark:
        "benchmarks/{run}/eval/{model}/{benchmark}/styles/{style}/score.tsv"


rule compare_styles:
    input:
        lambda w: in_styles(w.model, STYLES, "score.json"),
    output:
        table="results/{run}/eval/{model}/styles.json",
        page="results/{run}/eval/{model}/styles.md",
    log:
        "logs/{run}/eval/{model}/styles.log",
    benchmark:
        "benchmarks/{run}/eval/{model}/styles.tsv"
    params:
        settings=hashed_config(),
    shell:
        main("compare_styles")
        + "--scores {input:q} --table {output.table:q} --page {output.page:q}"


rule measure_run_rate:
    input:
        weights=evaluated,
    output:
        "results/{run}/eval/{model}/run_rate.json",
    log:
        "logs/{run}/eval/{model}/run_rate.log",
    benchmark:
        "benchmarks/{run}/eval/{model}/run_rate.tsv"
    threads: lambda w: server_threads(w.model)
    resources:
        model_server=1,
        nodes=1,
        gpu=lambda w: server_gpus(w.model),
    params:
        settings=lambda w: hashed_config(
            "evaluation.run_rate", model=model_params(w.model)
        ),
        kind_code=code_by(
            "measure_run_rate",
            {role: endpoint_modules(role) for role in ("teacher", "student")},
            lambda w: role_of(w.model),
        ),
        modules=lambda w: endpoint_modules(w.model),
    shell:
        main("measure_run_rate", execution=execution_config())
        + "--modules {params.modules:q} --weights {input.weights:q} --rate {output:q}"


rule generate_with_interpreter:
    input:
        problems="results/{run}/eval/{benchmark}.jsonl",
        weights=evaluated,
    output:
        "results/{run}/eval/{model}/{benchmark}/interpreter/samples.jsonl",
    log:
        "logs/{run}/eval/{model}/{benchmark}/interpreter/samples.log",
    benchmark:
        "benchmarks/{run}/eval/{model}/{benchmark}/interpreter/samples.tsv"
    threads: lambda w: server_threads(w.model)
    resources:
        model_server=1,
        nodes=1,
        gpu=lambda w: server_gpus(w.model),
    params:
        settings=lambda w: hashed_config(
            *("evaluation.max_tokens", "evaluation.max_runs", *BOXED),
            *("tags.layout", "tags.result_chars"),
            benchmark=benchmark_params(w.benchmark),
            model=model_params(w.model),
            style=asked_style(w),
            **IMAGE,
        ),
        kind_code=asking_code("generate_with_interpreter"),
        modules=lambda w: [*benchmark_modules(w.benchmark), *endpoint_modules(w.model)],
    shell:
        main("generate_with_interpreter", execution=execution_config())
        + "--modules {params.modules:q} --problems {input.problems:q} --weights {input.weights:q} --samples {output:q}"


use rule score_samples as score_with_interpreter with:
    input:
        problems="results/{run}/eval/{benchmark}.jsonl",
        validation="results/{run}/eval/{benchmark}.validation.json",
        samples="results/{run}/eval/{model}/{benchmark}/interpreter/samples.jsonl",
    output:
        results="results/{run}/eval/{model}/{benchmark}/interpreter/eval_results.json",
        score="results/{run}/eval/{model}/{benchmark}/interpreter/score.json",
    log:
        "logs/{run}/eval/{model}/{benchmark}/interpreter/score.log",
    benchmark:
        "benchmarks/{run}/eval/{model}/{benchmark}/interpreter/score.tsv"
