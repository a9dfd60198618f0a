"""What of the config each job is told: the values that decide its outputs, as its parameters, and
apart from them those that only say where and how fast models are asked.

needs: nothing
makes: nothing
"""

DOCKER = config["sandbox"]["backend"] == "docker"
BOXES = ("containers", "runs")
BEHIND = {"base": STUDENT, "student": STUDENT, "teacher": TEACHER}
ANSWERS = ("ledger", "prices", "budget")
SERVING = ("base_url", "slots", "timeout_seconds", "threads", "gpu_layers")
SERVING += ("tensor_parallel",)


def chosen(*keys):
    """The config values at dotted `keys`, nested as they are there."""
    picked = {}
    for key in keys:
        value, place, parts = config, picked, key.split(".")
        for part in parts[:-1]:
            value, place = value[part], place.setdefault(part, {})
        place[parts[-1]] = value[parts[-1]]
    return picked


def sandbox(*more):
    """Where untrusted code runs, and `more` keys of the config's `sandbox` section; the engine's
    settings, and what its image is made of, count only where there is one."""
    keys = ["backend", *more]
    image = {}
    if DOCKER:
        keys += ["docker.image", "docker.runtime"]
        image["sandbox_image"] = of_directory(SOURCES / "envs/sandbox")
    return {**chosen(*(f"sandbox.{key}" for key in keys)), **image}


def boxes():
    """How many containers there are, and for how long each: nothing that a run depends on."""
    docker = config["sandbox"]["docker"]
    return {"boxes": {key: docker[key] for key in BOXES}} if DOCKER else {}


def settings(*keys):
    """All that a job may know of the config: the values at `keys`, as JSON."""
    return as_json(chosen(*keys))


def as_json(value):
    return json.dumps(value, sort_keys=True)


def asking():
    """Where answers are kept, what they may cost, where models are and how fast they are asked:
    nothing that an answer depends on. Models are found by the names that they are asked by.
    """
    models = [{**model, "name": as_asked(m)["name"]} for m, model in BEHIND.items()]
    servers = {model["name"]: {key: model[key] for key in SERVING} for model in models}
    flight = config["dialogues"]["in_flight"]
    return {**chosen(*ANSWERS), **boxes(), "servers": servers, "in_flight": flight}


def without(section, *keys):
    return {key: value for key, value in section.items() if key not in keys}


def writing():
    """What decides how dialogues are written, whoever writes them."""
    dialogues = without(config["dialogues"], "in_flight")
    return {**chosen("seed"), "dialogues": dialogues, **sandbox("limits", "packages")}


def deciding():
    """The whole config, but for what decides nothing, and the pinned files, which are inputs."""
    models = {
        role: without(model, *SERVING) for role, model in config["models"].items()
    }
    dialogues = without(config["dialogues"], "in_flight")
    docker = without(config["sandbox"]["docker"], *BOXES)
    box = {**config["sandbox"], "docker": docker}
    rest = without(config, *ANSWERS, "resources")
    return as_json({**rest, "models": models, "dialogues": dialogues, "sandbox": box})


def evaluated(w):
    """The checkpoint or weights behind base, student and teacher."""
    if w.model == "teacher":
        return weights_of(TEACHER)
    if w.model == "base":
        return f"resources/students/{STUDENT['name']}"
    return f"results/{w.run}/model"


def as_asked(model):
    """What decides the answers of base, student or teacher, and the name it is asked by."""
    name = BEHIND[model]["name"]
    own = name if model == "teacher" else f"{model}-{name}"
    return {**without(BEHIND[model], *SERVING), "name": own}


def contestants():
    """The two models of a duel, of whom one writes the next round."""
    return {model: as_asked(model) for model in ("teacher", "student")}


def evaluated_settings(w):
    own = chosen("evaluation.max_tokens")
    return as_json({**own, "model": as_asked(w.model)})


def scoring_settings(w, **own):
    shared = {"scoring": config["evaluation"]["scoring"], **sandbox()}
    return as_json(
        {**shared, "benchmark": {**benchmark(w), "name": w.benchmark}, **own}
    )
