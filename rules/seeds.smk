"""Seeds: functions of pinned open-source packages, sharded by the hash of their text.

needs: resources/{resource}/*.whl, or the directories and files that seeds.sources names
makes: results/{run}/seeds/{shard}.jsonl  report.json
"""


def seed_files(_):
    """Files of the seed sources, in their order; hub data sets have none."""
    return [
        (
            resource_file(source["resource"])
            if source["kind"] == "wheel"
            else source["path"]
        )
        for source in config["seeds"]["sources"]
        if source["kind"] != "hub"
    ]


rule mine_seeds:
    input:
        sources=seed_files,
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
