"""The final student, trained with DeepSpeed on the training dialogues of all rounds.

needs: resources/students/{student}/, results/{run}/data/tagged.jsonl, the DeepSpeed config
makes: results/{run}/model/  model.sha256  training.json
"""


rule train_model:
    input:
        student=untrained(ROUNDS[-1]),
        data="results/{run}/data/tagged.jsonl",
        test=held_out(ROUNDS[-1]),
        deepspeed=config["training"]["deepspeed"],
        # The last round's student is the same action: once it is trained, this is a copy.
        same=f"results/{{run}}/rounds/{ROUNDS[-1]}/student.sha256",
    output:
        model=directory("results/{run}/model"),
        digest="results/{run}/model.sha256",
        report="results/{run}/training.json",
    log:
        "logs/{run}/model.log",
    benchmark:
        "benchmarks/{run}/model.tsv"
    threads: config["training"]["threads"]
    resources:
        **unless_copied(accelerators()),
    params:
        settings=hashed_config("training"),
    shell:
        main("train_model", execution=execution_config())
        + "--student {input.student:q} --data {input.data:q} --test {input.test:q}"
        + " --deepspeed {input.deepspeed:q} --model {output.model:q}"
        + " --digest {output.digest:q} --report {output.report:q}"
