"""The models of a run, checked before anything is paid for (execution.preflight).

needs: resources/students/{student}/, and the weights of a teacher that is served elsewhere, for
       their digest
makes: logs/{run}/models.json            what was checked; `aiev run` makes it before all else
"""


# Not in a queue, so that a mistake shows at once.
localrules:
    check_models,


PREFLIGHT = config["execution"]["preflight"]
CHECKED = "logs/{run}/models.json"
CHECKED_MODULES = [
    RECIPES.source(config["dialogues"]["recipe"]),
    *endpoint_modules("teacher", "student"),
]


# No job has its output as an input, not even an `ancient` one: Snakemake does not look for changed
# parameters in jobs below a job that is to run (DAG.update_needrun), and would miss an edited prompt.
rule check_models:
    input:
        teacher=[] if needs_weights(TEACHER) or not PREFLIGHT else weights_of(TEACHER),
        student=[BASE] if PREFLIGHT else [],
    output:
        CHECKED,
    log:
        "logs/{run}/models.log",
    benchmark:
        "benchmarks/{run}/models.tsv"
    params:
        settings=hashed_config(
            *("dialogues", "rounds.self_learning", "rounds.count"),
            *("duel.max_tokens", "evaluation.max_tokens", "training.lora"),
            *("training.attention", "training.accelerator"),
            models={model: model_params(model) for model in ("teacher", "base")},
        ),
    shell:
        main("check_models", *CHECKED_MODULES, execution=execution_config())
        + "--teacher {input.teacher:q} --student {input.student:q} --checked {output:q}"
