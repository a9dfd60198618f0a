"""What a reader opens: the table of scores, the funnel, and the manifest of every artifact.

needs: the scores and the report of every stage
makes: results/{run}/rounds.json  rounds.svg
       results/{run}/scores.json  scores.md  funnel.json
       results/{run}/manifest.json  provenance.json
"""


rule draw_rounds:
    input:
        reports=expand("results/{{run}}/rounds/{round}/report.json", round=ROUNDS),
        duels=expand("results/{{run}}/rounds/{round}/duel.json", round=ROUNDS),
        gates=expand("results/{{run}}/rounds/{round}/gate.json", round=ROUNDS),
    output:
        table="results/{run}/rounds.json",
        picture="results/{run}/rounds.svg",
    log:
        "logs/{run}/rounds.log",
    benchmark:
        "benchmarks/{run}/rounds.tsv"
    params:
        settings=hashed_config(),
    shell:
        main("draw_rounds")
        + "--reports {input.reports:q} --duels {input.duels:q} --gates {input.gates:q}"
        + " --table {output.table:q} --picture {output.picture:q}"


rule summarise:
    input:
        scores=expand(
            "results/{{run}}/eval/{model}/{benchmark}/score.json",
            model=MODELS,
            benchmark=BENCHMARKS,
        ),
        interpreted=expand(
            "results/{{run}}/eval/{model}/{benchmark}/interpreter/score.json",
            model=INTERPRETED,
            benchmark=BENCHMARKS,
        ),
        styled=in_styles("base", BASE_STYLES, "score.json"),
        run_rates=expand("results/{{run}}/eval/{model}/run_rate.json", model=RUN_RATES),
        seeds="results/{run}/seeds/report.json",
        rounds=expand("results/{{run}}/rounds/{round}/report.json", round=ROUNDS),
        contamination="results/{run}/data/contamination.json",
        tagged="results/{run}/data/tagged.json",
        training="results/{run}/training.json",
        duels="results/{run}/rounds.json",
    output:
        table="results/{run}/scores.json",
        page="results/{run}/scores.md",
        funnel="results/{run}/funnel.json",
    log:
        "logs/{run}/summary.log",
    benchmark:
        "benchmarks/{run}/summary.tsv"
    params:
        settings=hashed_config("models.teacher.name", "models.student.name"),
    shell:
        main("summarise")
        + "--scores {input.scores:q} --interpreted {input.interpreted:q} --styled {input.styled:q} --run_rates {input.run_rates:q} --seeds {input.seeds:q} --rounds {input.rounds:q}"
        + " --contamination {input.contamination:q} --tagged {input.tagged:q}"
        + " --training {input.training:q} --duels {input.duels:q}"
        + " --table {output.table:q} --page {output.page:q} --funnel {output.funnel:q}"


rule write_manifest:
    input:
        rules.prepare_student.output,
        expand(rules.prepare_benchmark.output, benchmark=BENCHMARKS),
        rules.draw_rounds.output,
        rules.summarise.output,
        rules.train_model.output,
        rules.mine_seeds.output,
        [
            expand(made.output, round=ROUNDS, allow_missing=True)
            for made in (
                rules.close_round,
                rules.train_student,
                rules.run_duel,
                rules.decide_gate,
            )
        ],
        [
            f"results/{{run}}/rounds/{number}/dialogues/{shard}.jsonl"
            for number in ROUNDS
            for shard in shards_of(number)
        ],
        [
            expand(made.output, data=DATA, allow_missing=True)
            for made in (
                rules.gather_verified,
                rules.decontaminate,
                rules.tag_dialogues,
            )
        ],
        expand(rules.choose_problems.output, benchmark=BENCHMARKS, allow_missing=True),
        expand(
            rules.validate_benchmark.output, benchmark=BENCHMARKS, allow_missing=True
        ),
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
        [
            expand(
                made.output,
                model=INTERPRETED,
                benchmark=BENCHMARKS,
                allow_missing=True,
            )
            for made in (
                rules.generate_with_interpreter,
                rules.score_with_interpreter,
            )
        ],
        in_styles(
            "base", BASE_STYLES, "samples.jsonl", "eval_results.json", "score.json"
        ),
        expand(rules.measure_run_rate.output, model=RUN_RATES, allow_missing=True),
    output:
        manifest="results/{run}/manifest.json",
        provenance="results/{run}/provenance.json",
    log:
        "logs/{run}/manifest.log",
    benchmark:
        "benchmarks/{run}/manifest.tsv"
    params:
        settings=everything_hashed(),
    shell:
        main("write_manifest")
        + "--artifacts {input:q}"
        + " --manifest {output.manifest:q} --provenance {output.provenance:q}"
