"""Pinned external files.

needs: nothing but a declaration in config/resources.yaml
makes: resources/{resource}/{file}
       resources/students/{student}/            the student's checkpoint, before training
"""


# On a cluster, only the node where the workflow was started may reach a network.
localrules:
    fetch_resource,


rule fetch_resource:
    output:
        "resources/{resource}/{file}",
    log:
        "logs/resources/{resource}/{file}.log",
    benchmark:
        "benchmarks/resources/{resource}/{file}.tsv"
    params:
        settings=lambda w: as_json({"declaration": without_shape(RESOURCES[w.resource])}),
    shell:
        main("fetch_resource", pinned=True) + "--resource {output:q}"


rule prepare_student:
    input:
        weights=weights_of(STUDENT),
    output:
        directory(BASE),
    log:
        f"logs/{BASE}.log",
    benchmark:
        f"benchmarks/{BASE}.tsv"
    params:
        settings=hashed_config("models.student.dtype"),
    shell:
        main("prepare_student") + "--weights {input.weights:q} --student {output:q}"
