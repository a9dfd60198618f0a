"""Rounds: dialogues written by the teacher, verified in the sandbox, and split.

needs: results/{run}/seeds/{shard}.jsonl, the teacher's weights
makes: results/{run}/rounds/{round}/dialogues/{shard}.jsonl
       results/{run}/rounds/{round}/train.jsonl  test.jsonl  report.json
"""


rule write_dialogues:
    input:
        seeds="results/{run}/seeds/{shard}.jsonl",
        weights=weights_of(TEACHER),
    output:
        "results/{run}/rounds/{round}/dialogues/{shard}.jsonl",
    log:
        "logs/{run}/rounds/{round}/dialogues/{shard}.log",
    benchmark:
        "benchmarks/{run}/rounds/{round}/dialogues/{shard}.tsv"
    threads: 2
    resources:
        model_server=1,
    params:
        settings=lambda w: as_json(
            {
                **chosen("seed", "models.teacher", "dialogues"),
                **sandbox("limits", "packages"),
                "round": int(w.round),
            }
        ),
        code=code("write_dialogues"),
    shell:
        main("write_dialogues", aside=ledger_settings())
        + "--seeds {input.seeds:q} --weights {input.weights:q} --dialogues {output:q}"


rule close_round:
    input:
        lambda w: expand(
            "results/{run}/rounds/{round}/dialogues/{shard}.jsonl",
            run=w.run,
            round=w.round,
            shard=shards_of(w.round),
        ),
    output:
        train="results/{run}/rounds/{round}/train.jsonl",
        test="results/{run}/rounds/{round}/test.jsonl",
        report="results/{run}/rounds/{round}/report.json",
    log:
        "logs/{run}/rounds/{round}/close.log",
    benchmark:
        "benchmarks/{run}/rounds/{round}/close.tsv"
    params:
        settings=settings("rounds.split"),
        code=code("close_round"),
    shell:
        main("close_round")
        + "--dialogues {input:q} --train {output.train:q} --test {output.test:q}"
        + " --report {output.report:q}"
