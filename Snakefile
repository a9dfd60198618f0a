"""The AIEV-Instruct / AutoCoder pipeline, from seed snippets to score files."""

from snakemake.utils import min_version

min_version("9.0")

# A user's --configfile replaces this one: two configs are never mixed.
if not workflow.config_settings.configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/names.smk"
include: "rules/params.smk"
include: "rules/cluster.smk"
include: "rules/resources.smk"
include: "rules/preflight.smk"
include: "rules/seeds.smk"
include: "rules/rounds.smk"
include: "rules/data.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/report.smk"


begin()


rule all:
    default_target: True
    input:
        f"results/{RUN}/manifest.json",
        f"results/{RUN}/scores.md",
        # By name, so that one which was lost comes back though nothing needs it any more.
        expand(rules.write_manifest.input, run=RUN),
