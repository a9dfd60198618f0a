"""Pinned external files.

needs: nothing but a declaration in config/resources.yaml
makes: resources/{resource}/{file}
       resources/snapshots/{snapshot}/          a model of several files, as a hub has it
       resources/students/{student}/            the student's checkpoint, before training
"""


# On a cluster, only the node where the workflow was started may reach a network.
localrules:
    fetch_resource,
    fetch_snapshot,


rule fetch_resource:
    output:
        "resources/{resource}/{file}",
    log:
        "logs/resources/{resource}/{file}.log",
    benchmark:
        "benchmarks/resources/{resource}/{file}.tsv"
    params:
        settings=lambda w: as_json(
            {"declaration": without_shape(RESOURCES[w.resource])}
        ),
    shell:
        main("fetch_resource", pinned=True) + "--resource {output:q}"


rule fetch_snapshot:
    output:
        directory("resources/snapshots/{snapshot}"),
    log:
        "logs/resources/snapshots/{snapshot}.log",
    benchmark:
        "benchmarks/resources/snapshots/{snapshot}.tsv"
    params:
        settings=lambda w: as_json(
            {"declaration": without_shape(RESOURCES[w.snapshot])}
        ),
    shell:
        main("fetch_snapshot", pinned=True) + "--snapshot {output:q}"


# A template in a file of the user's own is an input; a shipped one is code.
OWN_TEMPLATE = [STUDENT["chat_template"]] * STUDENT["chat_template"].endswith(".jinja")


rule prepare_student:
    input:
        weights=untrained_files(),
        template=OWN_TEMPLATE,
    output:
        directory(BASE),
    log:
        f"logs/{BASE}.log",
    benchmark:
        f"benchmarks/{BASE}.tsv"
    params:
        # Keys at their defaults are left out: a student without a template stays as it was made.
        settings=hashed_config(
            "models.student.dtype",
            *["models.student.chat_template"] * bool(STUDENT["chat_template"]),
        ),
    shell:
        main("prepare_student")
        + "--weights {input.weights:q} --template {input.template:q} --student {output:q}"
