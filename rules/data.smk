"""Training data: the verified dialogues of all rounds, decontaminated and tagged.

{data} is `data`, of all rounds, or `rounds/{round}/data`, of those up to a round.

needs: results/{run}/rounds/{round}/train.jsonl  test.jsonl
       resources/benchmarks/{benchmark}.jsonl
makes: results/{run}/{data}/verified.jsonl  decontaminated.jsonl  contamination.json
       results/{run}/{data}/tagged.jsonl  tagged.json
       results/{run}/rounds/{round}/test/tagged.jsonl  tagged.json, with training.test_steps
"""

BENCHMARK_MODULES = sorted(
    {module for name in BENCHMARKS for module in benchmark_modules(name)}
)


rule gather_verified:
    input:
        lambda w: expand(
            "results/{run}/rounds/{round}/train.jsonl", run=w.run, round=rounds_of(w)
        ),
    output:
        "results/{run}/{data}/verified.jsonl",
    log:
        "logs/{run}/{data}/verified.log",
    benchmark:
        "benchmarks/{run}/{data}/verified.tsv"
    params:
        settings=hashed_config(),
    shell:
        main("gather_verified") + "--rounds {input:q} --verified {output:q}"


rule decontaminate:
    input:
        dialogues="results/{run}/{data}/verified.jsonl",
        tests=lambda w: expand(
            "results/{run}/rounds/{round}/test.jsonl", run=w.run, round=rounds_of(w)
        ),
        benchmarks=expand(
            "resources/benchmarks/{benchmark}.jsonl", benchmark=BENCHMARKS
        ),
        # What was compared in earlier rounds is not compared again.
        known=lambda w: before(rounds_of(w)[-1], "data/contamination.json"),
    output:
        kept="results/{run}/{data}/decontaminated.jsonl",
        report="results/{run}/{data}/contamination.json",
    log:
        "logs/{run}/{data}/decontaminated.log",
    benchmark:
        "benchmarks/{run}/{data}/decontaminated.tsv"
    params:
        settings=hashed_config(
            "decontamination", benchmarks=list(map(benchmark_params, BENCHMARKS))
        ),
    shell:
        main("decontaminate", *BENCHMARK_MODULES)
        + "--dialogues {input.dialogues:q} --benchmarks {input.benchmarks:q}"
        + " --tests {input.tests:q} --known {input.known:q}"
        + " --kept {output.kept:q} --report {output.report:q}"


rule tag_dialogues:
    input:
        dialogues="results/{run}/{data}/decontaminated.jsonl",
        # What was tagged in earlier rounds is not tagged again.
        known=lambda w: before(rounds_of(w)[-1], "data/tagged.jsonl"),
    output:
        tagged="results/{run}/{data}/tagged.jsonl",
        report="results/{run}/{data}/tagged.json",
    log:
        "logs/{run}/{data}/tagged.log",
    benchmark:
        "benchmarks/{run}/{data}/tagged.tsv"
    params:
        settings=hashed_config("tags"),
    shell:
        main("tag_dialogues")
        + "--dialogues {input.dialogues:q} --known {input.known:q}"
        + " --tagged {output.tagged:q} --report {output.report:q}"


# The loss on it is measured in training; the duel reads the dialogues themselves.
if config["training"]["test_steps"]:

    rule tag_test:
        input:
            "results/{run}/rounds/{round}/test.jsonl",
        output:
            tagged="results/{run}/rounds/{round}/test/tagged.jsonl",
            report="results/{run}/rounds/{round}/test/tagged.json",
        log:
            "logs/{run}/rounds/{round}/test/tagged.log",
        benchmark:
            "benchmarks/{run}/rounds/{round}/test/tagged.tsv"
        params:
            settings=hashed_config("tags"),
        shell:
            main("tag_dialogues")
            + "--dialogues {input:q} --known"
            + " --tagged {output.tagged:q} --report {output.report:q}"
