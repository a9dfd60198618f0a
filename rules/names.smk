"""Names of the run's files, and the wildcards in them.

needs: nothing
makes: nothing
"""

from aiev.evaluation.chosen_styles import base_styles, known_styles
from aiev.resources.declare import is_snapshot
from aiev.training.chat import template_file
from aiev.training.checkpoints import files_of

RUN = config["name"]
SHARDS = [f"{number:03d}" for number in range(config["seeds"]["shards"])]
ROUNDS = [str(number) for number in range(config["rounds"]["count"])]
DATA = [*(f"rounds/{number}/data" for number in ROUNDS), "data"]
BENCHMARKS = sorted(config["evaluation"]["benchmarks"])
MODELS = ["base", "student", "teacher"]
INTERPRETED = MODELS if config["evaluation"]["interpreter"] else []
# Before and after training.
RUN_RATES = ["base", "student"] if config["evaluation"]["run_rate"]["prompts"] else []
# By benchmark: all prompt styles, and those in which the base is scored once more.
STYLES = known_styles(config["evaluation"])
BASE_STYLES = base_styles(config["evaluation"])
RESOURCES = config["resources"]
TEACHER = config["models"]["teacher"]
STUDENT = config["models"]["student"]
BASE = f"resources/students/{STUDENT['name']}"
SNAPSHOTS = [name for name in RESOURCES if is_snapshot(RESOURCES[name])]


wildcard_constraints:
    run=re.escape(RUN),
    shard="|".join(SHARDS),
    round="|".join(ROUNDS),
    data="|".join(DATA),
    benchmark="|".join(map(re.escape, BENCHMARKS)),
    model="|".join(MODELS),
    style="|".join(re.escape(style) for each in STYLES.values() for style in each),
    resource="|".join(re.escape(name) for name in RESOURCES if name not in SNAPSHOTS),
    snapshot="|".join(map(re.escape, SNAPSHOTS)) or "none",
    # Each file in its own resource's directory alone.
    file="|".join(
        f"(?<=/{re.escape(name)}/){re.escape(RESOURCES[name]['file'])}"
        for name in RESOURCES
        if name not in SNAPSHOTS
    ),


def shards_of(round_number):
    """Names of the shards of a round. A later round takes the shards that follow, so that raising
    rounds.count moves no seed."""
    each = config["rounds"]["dialogues"] // config["seeds"]["per_shard"]
    return SHARDS[int(round_number) * each : (int(round_number) + 1) * each]


def rounds_of(w):
    """Rounds whose dialogues are in the wildcards' data: all, or those up to a round."""
    last = w.data.removeprefix("rounds/").partition("/")[0]
    return ROUNDS if w.data == "data" else ROUNDS[: int(last) + 1]


def before(round_number, *names):
    """Files of the previous round; none for the first round."""
    number = int(round_number) - 1
    return [f"results/{RUN}/rounds/{number}/{name}" for name in names if number >= 0]


def untrained(round_number):
    """The checkpoint from which the training of a round starts."""
    if config["rounds"]["train_from"] == "base":
        return [BASE]
    return before(round_number, "student") or [BASE]


def held_out(round_number):
    """A round's tagged test split, where its training measures the loss on it."""
    if not config["training"]["test_steps"]:
        return []
    return [f"results/{RUN}/rounds/{round_number}/test/tagged.jsonl"]


def resource_file(name):
    """Path of a declared external file, or directory of a declared model of several files."""
    if is_snapshot(RESOURCES[name]):
        return f"resources/snapshots/{name}"
    return f"resources/{name}/{RESOURCES[name]['file']}"


def weights_of(model):
    """Files that a job needs to serve `model`; none for a model behind a URL."""
    return [resource_file(model["resource"])] if model["resource"] else []


def untrained_files():
    """What the student is made from: a declared file or model, or the files of a directory."""
    if STUDENT["checkpoint"]:
        return [path.as_posix() for path in files_of(Path(STUDENT["checkpoint"]))]
    return weights_of(STUDENT)


def chat_template_file():
    """The file of the student's chat template; none where it keeps its own."""
    name = STUDENT["chat_template"]
    return [template_file(name).as_posix()] if name else []


def evaluated(w):
    """The checkpoint or the weights of base, student or teacher."""
    places = {"teacher": weights_of(TEACHER), "base": [BASE]}
    return places.get(w.model, [f"results/{w.run}/model"])


def benchmark(w):
    """The config of the wildcards' benchmark."""
    return config["evaluation"]["benchmarks"][w.benchmark]


def in_styles(model, styles, *names):
    """Files of a model's scores in styles that are given by benchmark."""
    return [
        f"results/{RUN}/eval/{model}/{benchmark}/styles/{style}/{name}"
        for benchmark, each in styles.items()
        for style in each
        for name in names
    ]


def without_shape(declaration):
    """A declaration without what only the plan of a run reads."""
    return {key: value for key, value in declaration.items() if key != "shape"}
