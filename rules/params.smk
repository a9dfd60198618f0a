"""What a job gets of the config: values that decide its outputs, which are hashed, and apart from
them the section `execution`, no change of which makes an output stale (docs/configuration.md).

needs: nothing
makes: nothing
"""

from aiev.evaluation.benchmarks import BENCHMARKS as BENCHMARK_KINDS
from aiev.evaluation.chosen_styles import kind_config, own_style
from aiev.evaluation.settings import SUBSETS
from aiev.languages import LANGUAGES
from aiev.languages.toolchains import TOOLCHAINS
from aiev.llm.endpoints import KINDS
from aiev.recipes import RECIPES, modules_of
from aiev.seeds.mine import paths_of

DOCKER = config["sandbox"]["backend"] == "docker"
SANDBOX = ["sandbox.backend", *["sandbox.docker"] * DOCKER]
# What the image is made of counts too; its name alone says nothing about it.
IMAGE = {"sandbox_image": of_directory(SOURCES / "envs/sandbox")} if DOCKER else {}
BOXED = [*SANDBOX, "sandbox.limits", "sandbox.packages"]


def as_json(value):
    return json.dumps(value, sort_keys=True)


def hashed_config(*keys, **more):
    """Parameters of a job, as JSON: the config values at dotted `keys`, nested as in the config, and
    `more`. A change in one of them makes the job stale, and nothing else in the config does.
    """
    params = {}
    for key in keys:
        value, place, parts = config, params, key.split(".")
        if parts[0] == "execution":
            raise ValueError(f"{key} makes no result stale and is never hashed")
        for part in parts[:-1]:
            value, place = value[part], place.setdefault(part, {})
        place[parts[-1]] = value[parts[-1]]
    return as_json({**params, **more})


def benchmark_params(name, *keys):
    """A benchmark's name and kind, the keys of its kind, and those of `keys` that all kinds have:
    which tasks are chosen, and which may fail, counts only for jobs that use it."""
    own = config["evaluation"]["benchmarks"][name]
    named = {key: own[key] for key in keys}
    return {"name": name, "kind": own["kind"], "config": kind_config(own), **named}


def asked_style(w):
    """The prompt style in which a benchmark is asked: the wildcard's, or the config's."""
    return w.get("style") or own_style(config["evaluation"], w.benchmark)


def benchmark_modules(name):
    """What holds the code of a benchmark: its kind, and the toolchain of its language."""
    own = config["evaluation"]["benchmarks"][name]
    toolchain = [TOOLCHAINS.source(own["language"])] if own.get("language") else []
    return [BENCHMARK_KINDS.source(own["kind"]), *toolchain]


def endpoint_modules(*models):
    """What holds the code by which these models are asked."""
    kinds = {config["models"][role_of(model)]["kind"] for model in models}
    return sorted(KINDS.source(kind) for kind in kinds)


def code_by(script, modules, key):
    """Digest of a script's code with what a registry loads for one job by name, so that what other
    jobs load makes nothing stale.

    modules: of each job, by what tells jobs apart. key: that, of a job's wildcards. All are hashed
    now, as the run's record is written when it begins."""
    digests = {name: code(script, found) for name, found in modules.items()}
    return lambda w: digests[key(w)]


def benchmark_code(script):
    """Digest of a script's code with the kind of one benchmark alone."""
    modules = {name: benchmark_modules(name) for name in BENCHMARKS}
    return code_by(script, modules, lambda w: w.benchmark)


def asking_code(script):
    """The same, with the endpoint of the model that is asked."""
    modules = {
        (name, role): [*benchmark_modules(name), *endpoint_modules(role)]
        for name in BENCHMARKS
        for role in ("teacher", "student")
    }
    return code_by(script, modules, lambda w: (w.benchmark, role_of(w.model)))


def execution_config():
    """The section `execution`, for jobs that ask models or run code."""
    return config["execution"]


def everything_hashed():
    """The whole config but for `execution`, and the pinned files, which are inputs."""
    return hashed_config(
        *(key for key in config if key not in ("execution", "resources"))
    )


def role_of(model):
    """The section of `models` and of `execution.models` that describes base, student or teacher."""
    return "teacher" if model == "teacher" else "student"


def model_params(model):
    """What decides the answers of base, student or teacher. Requests use the name that is given
    here; how the model is served stands in `execution.models` under its role."""
    role = role_of(model)
    own = config["models"][role]
    name = own["name"] if model == "teacher" else f"{model}-{own['name']}"
    # Where a student comes from shows in its checkpoint, and decides nothing beside it.
    own = {k: v for k, v in own.items() if k not in ("checkpoint", "chat_template")}
    return {**own, "name": name, "role": role}


FIRST, LATER = ("teacher",), ("teacher", "student")


def authors(w):
    """The models one of which writes the dialogues of a round; the gate before it says which."""
    return LATER if int(w.round) else FIRST


def writing_modules(models):
    """What holds the code by which these models write dialogues."""
    recipe = modules_of(config["dialogues"])
    language = LANGUAGES.source(config["dialogues"]["language"])
    return [*recipe, language, *endpoint_modules(*models)]


def declared_seed_files(_):
    """Files of the seed sources that are declared resources."""
    sources = config["seeds"]["sources"]
    return [resource_file(s["resource"]) for s in sources if s.get("resource")]


def seed_paths(_):
    """All that the seed sources read on this machine, source by source."""
    paths = []
    for source in config["seeds"]["sources"]:
        name = source.get("resource")
        paths += paths_of(source, Path(resource_file(name)) if name else None)
    return [path.as_posix() for path in paths]


def own_seed_paths():
    """What of it is no declared resource, and therefore no input that Snakemake knows."""
    declared = declared_seed_files(None)
    return [path for path in seed_paths(None) if path not in declared]
