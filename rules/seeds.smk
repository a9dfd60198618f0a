"""Seeds: functions of pinned open-source packages, sharded by the hash of their text.

needs: resources/{resource}/*.whl, or the directories and files that seeds.sources names
makes: results/{run}/seeds/{shard}.jsonl  report.json
"""


rule mine_seeds:
    input:
        sources=seed_files,
        watched=seed_directory_files,
    output:
        shards=expand("results/{{run}}/seeds/{shard}.jsonl", shard=SHARDS),
        report="results/{run}/seeds/report.json",
    log:
        "logs/{run}/seeds/mine.log",
    benchmark:
        "benchmarks/{run}/seeds/mine.tsv"
    params:
        settings=settings("seeds"),
        code=code("mine_seeds"),
    shell:
        main("mine_seeds")
        + "--sources {input.sources:q} --shards {output.shards:q} --report {output.report:q}"
