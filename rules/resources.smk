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


rule prepare_student:
    input:
        weights=untrained_files(),
        template=chat_template_file(),
    output:
        directory(BASE),
    log:
        f"logs/{BASE}.log",
    benchmark:
        f"benchmarks/{BASE}.tsv"
    params:
        settings=hashed_config("models.student.dtype"),
    shell:
        main("prepare_student")
        + "--weights {input.weights:q} --template {input.template:q} --student {output:q}"
