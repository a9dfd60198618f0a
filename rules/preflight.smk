"""The models of a run, checked before anything is paid for (execution.preflight).

needs: resources/students/{student}/, and the weights of a teacher that is served elsewhere, for
       their digest
makes: logs/{run}/models.json            what was checked; jobs that ask models wait for it
"""


# Not in a queue, so that a mistake shows at once.
localrules:
    check_models,


PREFLIGHT = config["execution"]["preflight"]
CHECKED = "logs/{run}/models.json"
# The code that a job uses follows from the config's choices, so that no other choice counts.
RECIPE = RECIPES.source(config["dialogues"]["recipe"])


# Jobs that ask models have its output as an `ancient` input: they wait for the first check, and
# another check makes none of them run again.
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
            *("duel.max_tokens", "evaluation.max_tokens"),
            models={model: asked(model) for model in ("teacher", "base")},
        ),
    shell:
        main("check_models", RECIPE, *ENDPOINTS, execution=execution_config())
        + "--teacher {input.teacher:q} --student {input.student:q} --checked {output:q}"
