"""What a reader opens: the table of scores, the funnel, and the manifest of every artifact.

needs: the scores and the report of every stage
makes: results/{run}/scores.json  scores.md  funnel.json
       results/{run}/manifest.json  provenance.json
"""


rule summarise:
    input:
        scores=expand(
            "results/{{run}}/eval/{model}/{benchmark}/score.json",
            model=MODELS,
            benchmark=BENCHMARKS,
        ),
        seeds="results/{run}/seeds/report.json",
        rounds=expand("results/{{run}}/rounds/{round}/report.json", round=ROUNDS),
        contamination="results/{run}/data/contamination.json",
        tagged="results/{run}/data/tagged.json",
        training="results/{run}/training.json",
    output:
        table="results/{run}/scores.json",
        page="results/{run}/scores.md",
        funnel="results/{run}/funnel.json",
    log:
        "logs/{run}/summary.log",
    benchmark:
        "benchmarks/{run}/summary.tsv"
    params:
        settings=as_json({"teacher": TEACHER["name"], "student": STUDENT["name"]}),
        code=code("summarise"),
    shell:
        main("summarise")
        + "--scores {input.scores:q} --seeds {input.seeds:q} --rounds {input.rounds:q}"
        + " --contamination {input.contamination:q} --tagged {input.tagged:q}"
        + " --training {input.training:q}"
        + " --table {output.table:q} --page {output.page:q} --funnel {output.funnel:q}"


rule write_manifest:
    input:
        rules.prepare_student.output,
        expand(rules.prepare_benchmark.output, benchmark=BENCHMARKS),
        rules.summarise.output,
        rules.train_model.output,
        rules.mine_seeds.output,
        expand(rules.close_round.output, round=ROUNDS, allow_missing=True),
        [
            f"results/{{run}}/rounds/{number}/dialogues/{shard}.jsonl"
            for number in ROUNDS
            for shard in shards_of(number)
        ],
        rules.gather_verified.output,
        rules.decontaminate.output,
        rules.tag_dialogues.output,
        expand(rules.choose_problems.output, benchmark=BENCHMARKS, allow_missing=True),
        expand(rules.prove_benchmark.output, benchmark=BENCHMARKS, allow_missing=True),
        expand(
            rules.generate_samples.output,
            model=MODELS,
            benchmark=BENCHMARKS,
            allow_missing=True,
        ),
        expand(
            rules.score_samples.output,
            model=MODELS,
            benchmark=BENCHMARKS,
            allow_missing=True,
        ),
    output:
        manifest="results/{run}/manifest.json",
        provenance="results/{run}/provenance.json",
    log:
        "logs/{run}/manifest.log",
    benchmark:
        "benchmarks/{run}/manifest.tsv"
    params:
        settings=deciding(),
        code=code("write_manifest"),
    shell:
        main("write_manifest")
        + "--artifacts {input:q}"
        + " --manifest {output.manifest:q} --provenance {output.provenance:q}"
