"""Rounds: dialogues, verified in the sandbox and split; a student trained on all so far; its duel
with the teacher; the gate, which decides which model writes the next round.

needs: results/{run}/seeds/{shard}.jsonl, the teacher's weights, resources/students/{student}/,
       results/{run}/rounds/{round}/data/tagged.jsonl
makes: results/{run}/rounds/{round}/dialogues/{shard}.jsonl
       results/{run}/rounds/{round}/train.jsonl  test.jsonl  report.json
       results/{run}/rounds/{round}/student/  student.sha256  training.json
       results/{run}/rounds/{round}/duel.json  gate.json  next.json
"""


# Takes a second: no submission of its own on a cluster.
localrules:
    decide_gate,


rule write_dialogues:
    input:
        seeds="results/{run}/seeds/{shard}.jsonl",
        weights=weights_of(TEACHER),
        # Of the two models the job reads the one that the gate has named.
        student=lambda w: before(w.round, "student"),
        next=lambda w: before(w.round, "next.json"),
    output:
        "results/{run}/rounds/{round}/dialogues/{shard}.jsonl",
    log:
        "logs/{run}/rounds/{round}/dialogues/{shard}.log",
    benchmark:
        "benchmarks/{run}/rounds/{round}/dialogues/{shard}.tsv"
    threads: lambda w: server_threads(*authors(w))
    resources:
        model_server=1,
        nodes=1,
        gpu=author_gpus,
    params:
        settings=lambda w: hashed_config(
            *("seed", "dialogues", *BOXED),
            models={author: model_params(author) for author in authors(w)},
            round=int(w.round),
            **IMAGE,
        ),
        kind_code=code_by(
            "write_dialogues",
            {models: writing_modules(models) for models in (FIRST, LATER)},
            authors,
        ),
        modules=lambda w: writing_modules(authors(w)),
    shell:
        main("write_dialogues", execution=execution_config())
        + "--modules {params.modules:q} --seeds {input.seeds:q} --weights {input.weights:q} --student {input.student:q}"
        + " --next {input.next:q} --dialogues {output:q}"


if config["rounds"]["recorded"]:

    ruleorder: take_dialogues > write_dialogues

    rule take_dialogues:
        input:
            seeds="results/{run}/seeds/{shard}.jsonl",
            recorded=config["rounds"]["recorded"],
        output:
            "results/{run}/rounds/0/dialogues/{shard}.jsonl",
        log:
            "logs/{run}/rounds/0/dialogues/{shard}.log",
        benchmark:
            "benchmarks/{run}/rounds/0/dialogues/{shard}.tsv"
        params:
            settings=hashed_config(),
        shell:
            main("take_dialogues")
            + "--seeds {input.seeds:q} --recorded {input.recorded:q} --dialogues {output:q}"


# A student that goes on from the previous one must not meet its training dialogues in a duel.
GOES_ON = config["rounds"]["train_from"] == "previous"


rule close_round:
    input:
        dialogues=lambda w: expand(
            "results/{run}/rounds/{round}/dialogues/{shard}.jsonl",
            run=w.run,
            round=w.round,
            shard=shards_of(w.round),
        ),
        earlier=lambda w: expand(
            "results/{run}/rounds/{round}/train.jsonl",
            run=w.run,
            round=range(int(w.round) if GOES_ON else 0),
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
        settings=hashed_config(
            "rounds.split",
            "rounds.minimum_yield",
            "verification",
            *["decontamination.threshold"] * GOES_ON,
        ),
    shell:
        main("close_round")
        + "--dialogues {input.dialogues:q} --earlier {input.earlier:q}"
        + " --train {output.train:q} --test {output.test:q} --report {output.report:q}"


rule train_student:
    input:
        student=lambda w: untrained(w.round),
        data="results/{run}/rounds/{round}/data/tagged.jsonl",
        test=lambda w: held_out(w.round),
        deepspeed=config["training"]["deepspeed"],
    output:
        model=directory("results/{run}/rounds/{round}/student"),
        digest="results/{run}/rounds/{round}/student.sha256",
        report="results/{run}/rounds/{round}/training.json",
    log:
        "logs/{run}/rounds/{round}/student.log",
    benchmark:
        "benchmarks/{run}/rounds/{round}/student.tsv"
    threads: config["training"]["threads"]
    resources:
        **accelerators(),
    params:
        settings=hashed_config("training"),
    shell:
        main("train_model", execution=execution_config())
        + "--student {input.student:q} --data {input.data:q} --test {input.test:q}"
        + " --deepspeed {input.deepspeed:q} --model {output.model:q}"
        + " --digest {output.digest:q} --report {output.report:q}"


rule run_duel:
    input:
        test="results/{run}/rounds/{round}/test.jsonl",
        weights=weights_of(TEACHER),
        student="results/{run}/rounds/{round}/student",
        digest="results/{run}/rounds/{round}/student.sha256",
    output:
        "results/{run}/rounds/{round}/duel.json",
    log:
        "logs/{run}/rounds/{round}/duel.log",
    benchmark:
        "benchmarks/{run}/rounds/{round}/duel.tsv"
    threads: server_threads("teacher", "student")
    resources:
        model_server=1,
        nodes=1,
        gpu=server_gpus("teacher", "student"),
    params:
        settings=lambda w: hashed_config(
            *("seed", "duel", *BOXED),
            models={model: model_params(model) for model in ("teacher", "student")},
            round=int(w.round),
            **IMAGE,
        ),
    shell:
        main(
            "run_duel",
            *endpoint_modules("teacher", "student"),
            execution=execution_config(),
        )
        + "--test {input.test:q} --weights {input.weights:q} --student {input.student:q}"
        + " --digest {input.digest:q} --duel {output:q}"


rule decide_gate:
    input:
        duel="results/{run}/rounds/{round}/duel.json",
        before=lambda w: before(w.round, "gate.json"),
    output:
        gate="results/{run}/rounds/{round}/gate.json",
        next="results/{run}/rounds/{round}/next.json",
    log:
        "logs/{run}/rounds/{round}/gate.log",
    benchmark:
        "benchmarks/{run}/rounds/{round}/gate.tsv"
    params:
        settings=hashed_config("gate", "rounds.self_learning"),
    shell:
        main("decide_gate")
        + "--duel {input.duel:q} --before {input.before:q}"
        + " --gate {output.gate:q} --next {output.next:q}"
