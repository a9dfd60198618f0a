"""Seeds: snippets of open-source code, sharded by the hash of their text.

needs: resources/{resource}/*.whl, and the directories and files that seeds.sources names
makes: results/{run}/seeds/{shard}.jsonl  report.json
"""

from aiev.seeds.sources import SOURCES as SEED_SOURCES
from aiev.seeds.watch import fingerprint

# The kinds of the sources that the config names, and no other, are part of the job's code.
SEED_KINDS = sorted(
    {SEED_SOURCES.source(source["kind"]) for source in config["seeds"]["sources"]}
)


rule mine_seeds:
    input:
        declared_seed_files,
    output:
        shards=expand("results/{{run}}/seeds/{shard}.jsonl", shard=SHARDS),
        report="results/{run}/seeds/report.json",
    log:
        "logs/{run}/seeds/mine.log",
    benchmark:
        "benchmarks/{run}/seeds/mine.tsv"
    params:
        # A function's result is taken as it is; in a text, Snakemake would look for wildcards.
        settings=lambda w: hashed_config("seeds"),
        sources=seed_paths,
        watched=lambda w: fingerprint(own_seed_paths()),
    shell:
        main("mine_seeds", *SEED_KINDS)
        + "--sources {params.sources:q} --shards {output.shards:q} --report {output.report:q}"
