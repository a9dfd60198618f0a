"""The meaning of code: what moves the digest and what does not."""

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aiev.core.errors import UserError
from aiev.engine.codehash import PLUMBING, code_digest, code_parts

SCRIPTS = Path(__file__).parents[3] / "scripts"
FILES = {
    "work.py": '''"""A script."""

import json
import os

from lib import plain
from lib.deep.relative import value


def main():
    """Do it."""
    from lib.lazy import late

    return late() + value + plain.add(1, 2), json, os


if __name__ == "__main__":
    main()
''',
    "lib/__init__.py": "",
    "lib/plain.py": "def add(a, b):\n    return a + b\n",
    "lib/lazy.py": "def late():\n    return 1\n",
    "lib/unrelated.py": "x = 1\n",
    "lib/deep/__init__.py": "from . import sibling\n",
    "lib/deep/sibling.py": "from ..shared import common\n",
    "lib/deep/relative.py": "from .prompts import text as value\n",
    "lib/deep/prompts/__init__.py": "text = 1\n",
    "lib/deep/prompts/hello.md": "Hello $name\n",
    "lib/shared.py": "common = 1\n",
    "lib/started.py": "print(1)\n",
    "lib/boxed.py": "print(2)\n",
    "lib/uses.py": 'command = ["-m", "lib.started"]\nsource = "boxed.py"\n',
    "other.py": "import lib.unrelated\n",
}


@pytest.fixture
def tree(tmp_path, request):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def digest(tree, script="work.py") -> str:
    return code_digest(tree / script)


def edit(tree, name, old, new) -> None:
    text = (tree / name).read_text()
    assert old in text
    (tree / name).write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("work.py", "import json", "# why\nimport json  # because"),
        ("work.py", '"""A script."""', '"""Another text."""'),
        ("work.py", '    """Do it."""\n', ""),
        ("work.py", "import json\nimport os", "import os\nimport json"),
        ("work.py", "late() + value", "(late()\n        + value)"),
        ("lib/plain.py", "return a + b", "return (a + b)  # sum"),
        ("lib/shared.py", "common = 1\n", 'common = 1\n"""What all share."""\n'),
        ("lib/lazy.py", "    return 1", '    "What it returns"\n    "is late."\n    return 1'),
        ("lib/lazy.py", "return 1", "pass\n    return 1"),
        ("lib/plain.py", "def add(a, b):", "def add(\n    a,\n    b,\n):"),
        ("lib/unrelated.py", "x = 1", "x = 2"),
        ("other.py", "import lib.unrelated", "import lib.shared"),
    ],
)
def test_what_has_no_meaning_does_not_move_it(name, old, new, tree):
    before = digest(tree)
    edit(tree, name, old, new)
    assert digest(tree) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("work.py", "plain.add(1, 2)", "plain.add(2, 1)"),
        ("work.py", "import json\n", ""),
        ("lib/plain.py", "a + b", "a - b"),
        ("lib/lazy.py", "return 1", "return 2"),
        ("lib/deep/relative.py", "text as value", "other as value"),
        ("lib/deep/sibling.py", "common", "other"),
        ("lib/shared.py", "common = 1", "common = 1.0"),
        ("lib/deep/__init__.py", "sibling", "relative"),
        ("lib/deep/prompts/hello.md", "Hello", "Goodbye"),
        ("lib/deep/prompts/hello.md", "\n", " \n"),
        ("lib/__init__.py", "", "import json\n"),
    ],
)
def test_what_has_a_meaning_moves_it(name, old, new, tree):
    before = digest(tree)
    edit(tree, name, old, new)
    assert digest(tree) != before


def test_a_new_file_in_a_package_with_data_moves_it(tree):
    before = digest(tree)
    (tree / "lib/deep/prompts/more.md").write_text("More\n")
    assert digest(tree) != before


def test_a_docstring_that_is_used_counts(tree):
    edit(tree, "lib/plain.py", "def add", 'text = "a"\n"b"\n\n\ndef add')
    before = digest(tree)
    edit(tree, "lib/plain.py", 'text = "a"', 'text = "c"')
    assert digest(tree) != before


EMPTY = ("pass", '"""Text."""', '"""Other text."""\n    pass')


@pytest.mark.parametrize("head", ["class Missing(Exception):", "def f():", "if x:", "while x:"])
def test_a_body_that_does_nothing_is_the_same_in_all_its_forms(head, tree):
    """And it is another than one that does something, or than no such block."""

    def place(text):
        (tree / "lib/shared.py").write_text(f"common = 1\n{text}")
        return digest(tree)

    assert len({place(f"{head}\n    {body}\n") for body in EMPTY}) == 1
    assert len({place(f"{head}\n    {body}\n") for body in (EMPTY[0], "x = 1")} | {place("")}) == 3


def test_the_place_of_the_tree_and_the_script_s_name_do_not_count(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "copy"
    shutil.copytree(tree, other)
    (other / "work.py").rename(other / "works.py")
    assert digest(other, "works.py") == digest(tree)


@pytest.mark.parametrize("name", ["started", "boxed"])
def test_a_module_that_another_process_runs_is_seen(name, tree):
    """`python -m lib.started`, or a neighbour's text that is copied into the sandbox."""
    edit(tree, "work.py", "from lib import plain", "from lib import plain, uses")
    before = digest(tree)
    edit(tree, f"lib/{name}.py", "print(", "print('more', ")
    assert digest(tree) != before


def test_a_neighbour_in_a_folder_that_a_string_names_is_seen(tree):
    (tree / "lib/jobs").mkdir()
    (tree / "lib/jobs/run.py").write_text("print(1)\n")
    edit(tree, "lib/plain.py", "def add", 'RUN = "jobs/run.py", "lib/started.py"\n\n\ndef add')
    before = digest(tree)
    edit(tree, "lib/jobs/run.py", "1", "2")
    after = digest(tree)
    edit(tree, "lib/started.py", "1", "2")
    assert len({before, after, digest(tree)}) == 3


def test_a_module_in_a_folder_without_init_is_followed(tree):
    (tree / "lib/loose").mkdir()
    (tree / "lib/loose/part.py").write_text("x = 1\n")
    edit(tree, "work.py", "from lib import plain", "import lib.loose.part\nfrom lib import plain")
    before = digest(tree)
    edit(tree, "lib/loose/part.py", "1", "2")
    assert digest(tree) != before


def test_templates_in_a_folder_of_a_package_count_and_those_of_another_package_do_not(tree):
    (tree / "lib/deep/texts/later").mkdir(parents=True)
    (tree / "lib/deep/texts/later/more.md").write_text("More\n")
    (tree / "lib/deep/other").mkdir()
    (tree / "lib/deep/other/__init__.py").write_text("")
    (tree / "lib/deep/other/theirs.md").write_text("Theirs\n")
    before = digest(tree)
    edit(tree, "lib/deep/other/theirs.md", "Theirs", "Ours")
    assert digest(tree) == before
    edit(tree, "lib/deep/texts/later/more.md", "More", "Less")
    assert digest(tree) != before


@pytest.mark.parametrize("name", ["lib.unrelated", "{tree}/mine.py"])
def test_what_a_registry_loads_counts_where_the_rule_names_it(name, tree):
    (tree / "mine.py").write_text("y = 1\n")
    module = name.format(tree=tree)
    path = "mine.py" if "mine" in name else "lib/unrelated.py"
    alone, before = digest(tree), code_digest(tree / "work.py", [module])
    edit(tree, path, " = 1", " = 2")
    assert digest(tree) == alone
    assert len({alone, before, code_digest(tree / "work.py", [module])}) == 3


def test_of_a_file_outside_its_prompts_count_and_its_other_neighbours_do_not(
    tree, tmp_path_factory
):
    """What lies beside it may be a whole home directory."""
    home = tmp_path_factory.mktemp("home")
    (home / "prompts/chat").mkdir(parents=True)
    (home / "mine.py").write_text('y = "letters.sent"\n')
    (home / "letters/sent").mkdir(parents=True)
    texts = [
        home / "prompts/write.md",
        home / "prompts/chat/write.md",
        home / "letters/sent/one.txt",
    ]

    def parts():
        return code_parts(tree / "work.py", [str(home / "mine.py")])

    found = [parts()]
    for text in texts:
        text.write_text("Write.\n")
        found.append(parts())
    texts[0].write_text("Write more.\n")
    found.append(parts())
    changed = [{*after.items()} - {*before.items()} for before, after in pairwise(found)]
    assert [[name for name, _ in each] for each in changed] == [
        ["mine.py: prompts/write.md"],
        ["mine.py: prompts/chat/write.md"],
        [],
        ["mine.py: prompts/write.md"],
    ]


@pytest.mark.parametrize("edited", ["one/kind.py", "two/kind.py", "two/prompts/write.md"])
def test_two_files_outside_with_the_same_name_both_count(edited, tree, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    files = ("one/kind.py", "two/kind.py", "one/prompts/write.md", "two/prompts/write.md")
    for name in files:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("y = 1\n")
    kinds = [str(home / name) for name in files[:2]]
    before = code_digest(tree / "work.py", kinds)
    assert code_digest(tree / "work.py", [*kinds, kinds[0]]) == before
    edit(home, edited, "1", "2")
    assert code_digest(tree / "work.py", kinds) != before


def test_a_prompt_set_counts_only_where_it_is_named(tree):
    """Of the package that holds several, each is a choice of its own."""
    for name in ("one", "two"):
        (tree / f"lib/deep/sets/{name}").mkdir(parents=True)
        (tree / f"lib/deep/sets/{name}/prompts.toml").write_text("a = 1\n")
        (tree / f"lib/deep/sets/{name}/ask.md").write_text("Ask 1.\n")
    without, one = digest(tree), code_parts(tree / "work.py", ["lib.deep.sets.one"])
    assert {"lib/deep/sets/one/prompts.toml", "lib/deep/sets/one/ask.md"} <= one.keys()
    edit(tree, "lib/deep/sets/two/ask.md", "1", "2")
    assert digest(tree) == without
    assert code_parts(tree / "work.py", ["lib.deep.sets.one"]) == one
    edit(tree, "lib/deep/sets/one/ask.md", "1", "2")
    changed = {*code_parts(tree / "work.py", ["lib.deep.sets.one"]).items()} - {*one.items()}
    assert [name for name, _ in changed] == ["lib/deep/sets/one/ask.md"]


def test_a_directory_outside_counts_with_its_data(tree, tmp_path_factory):
    home = tmp_path_factory.mktemp("home") / "mine"
    home.mkdir()
    (home / "prompts.toml").write_text("a = 1\n")
    (home / ".hidden").write_text("a = 1\n")
    before = code_parts(tree / "work.py", [f"{home}/"])
    assert before.keys() - code_parts(tree / "work.py").keys() == {"mine/prompts.toml"}
    edit(home, "prompts.toml", "1", "2")
    assert code_parts(tree / "work.py", [f"{home}/"]) != before


@pytest.mark.parametrize("name", ["lib.missing", "nowhere.py", "nowhere/", "json"])
def test_a_module_that_is_not_there_is_an_error(name, tree):
    with pytest.raises(UserError, match="no such module"):
        code_digest(tree / "work.py", [name])


def test_a_module_that_is_not_python_is_an_error_that_names_it(tree):
    (tree / "lib/plain.py").write_text("def add(:\n")
    with pytest.raises(UserError, match="not Python") as caught:
        digest(tree)
    assert caught.value.where.endswith("lib/plain.py")


CONSTANTS = st.one_of(
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=("Cs",))),
    st.binary(),
    st.just(...),
)


def written(value) -> str:
    return "..." if value is ... else repr(value)


@given(one=CONSTANTS, other=CONSTANTS)
@example(one=1.5, other="1.5")
@example(one=b"k", other="b'k'")
@example(one=..., other="Ellipsis")
@example(one=1, other=True)
@example(one=1, other=1.0)
@example(one=0.0, other=-0.0)
@example(one="1", other=1)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_two_modules_that_differ_in_a_constant_have_two_digests(one, other):
    with tempfile.TemporaryDirectory() as folder:
        digests = []
        for name, value in (("one", one), ("other", other)):
            path = Path(folder, f"{name}.py")
            text = f"def f():\n    return g({written(value)})\n"
            path.write_bytes(text.encode("utf-8"))
            digests.append(code_digest(path))
    assert (digests[0] == digests[1]) == (written(one) == written(other))


def test_what_only_a_type_checker_runs_does_not_count(tree):
    before = digest(tree)
    block = "if TYPE_CHECKING:\n    from lib import unrelated\n\n\n"
    edit(tree, "lib/plain.py", "def add", f"{block}def add")
    assert digest(tree) == before
    edit(tree, "lib/plain.py", "if TYPE_CHECKING:", "if not TYPE_CHECKING:")
    assert digest(tree) != before


def test_circular_imports_end(tree):
    edit(tree, "lib/shared.py", "common = 1", "from lib.deep import sibling\ncommon = 1")
    assert digest(tree) == digest(tree)


def reached(script: str, modules: tuple[str, ...] = ()) -> set[str]:
    """The project's files that a script's digest covers."""
    parts = code_parts(SCRIPTS / f"{script}.py", modules)
    return {part.partition(": ")[0] for part in parts}


def test_this_project_s_rules_see_what_they_run_and_no_more():
    chosen = ("aiev.recipes.aiev_instruct", "aiev.recipes.aiev_instruct.prompts.small")
    writes = reached("write_dialogues", chosen)
    assert {
        "aiev/recipes/aiev_instruct/dialogue.py",
        "aiev/recipes/verification/boxed/controller.py",
        "aiev/languages/python/run_main.py",
    } <= writes
    assert {"aiev/sandbox/inside/bootstrap.py", "aiev/sandbox/inside/worker.py"} <= writes
    assert "aiev/llm/client.py" in writes and "aiev/llm/endpoints/vllm.py" not in writes
    assert "aiev/recipes/aiev_instruct/prompts/small/revise.md" in writes
    assert not any("prompts/strong/" in name for name in writes)
    assert (
        not {"aiev/seeds/mine.py", "aiev/dataset/tags.py", "aiev/training/supervisor.py"} & writes
    )
    trains = reached("train_model")
    assert {"aiev/training/worker.py", "aiev/dataset/tokens.py"} <= trains
    assert not [name for name in trains if "/languages/" in name or name.endswith("tags.py")]
    # What prepares students, and the templates that it is given as inputs.
    assert not [name for name in trains if name.endswith(("/chat.py", "/checkpoints.py", ".jinja"))]
    assert not [name for name in reached("prepare_student") if name.endswith(".jinja")]
    # An answer that is on record is judged again by what judges it alone.
    judges = reached("score_samples", ("aiev.evaluation.benchmarks.evalplus",))
    assert not {"aiev/llm/client.py", "aiev/llm/sending.py", "aiev/llm/retries.py"} & judges
    assert not {
        "aiev/recipes/aiev_instruct/dialogue.py",
        "aiev/recipes/aiev_instruct/prompts/small/solve.md",
    } & reached("mine_seeds")


RUN_UNTRUSTED = {
    *("prepare_benchmark", "validate_benchmark", "run_duel", "score_samples", "write_dialogues"),
    "generate_with_interpreter",
}
"""The mains that open the sandbox. An edit in it must make nothing else stale: no training above
all, and no question to a model."""


def test_only_what_runs_untrusted_code_sees_the_sandbox():
    sandboxed = {script.stem for script in SCRIPTS.glob("*.py") if _backends(reached(script.stem))}
    assert sandboxed == RUN_UNTRUSTED


def _backends(files: set[str]) -> set[str]:
    """Files of the sandbox but for its types, which modules that open none may import."""
    types = {f"aiev/sandbox/{name}.py" for name in ("__init__", "request", "settings")}
    return {file for file in files - types if file.startswith("aiev/sandbox/")}


def test_a_benchmark_s_kind_counts_where_the_rules_name_it_and_brings_no_sandbox():
    kind = ("aiev.evaluation.benchmarks.evalplus",)
    generates = reached("generate_samples", kind)
    assert "aiev/evaluation/evalplus/prompts/chat.md" in generates
    assert not _backends(generates)
    assert "aiev/evaluation/evalplus/inside/run_solution.py" in reached("score_samples", kind)
    assert "aiev/evaluation/evalplus/inside/record_inputs.py" in reached("prepare_benchmark", kind)
    assert not any("evalplus" in file for file in reached("score_samples"))


CHOICES = ("llm/endpoints", "seeds/sources", "languages", "evaluation/benchmarks", "recipes")
CHOICES += ("recipes/verification", "languages/toolchains")
"""Packages whose modules a registry loads, where the rules name them."""
PROMPT_SETS = [f"aiev.recipes.aiev_instruct.prompts.{name}" for name in ("small", "strong")]


def test_every_file_of_the_library_is_in_some_digest_or_is_plumbing():
    """One that is started or copied by a name that is put together would make nothing stale."""
    files = {p.relative_to(SCRIPTS).as_posix() for p in (SCRIPTS / "aiev").rglob("*.*")}
    folders = [SCRIPTS / "aiev" / name for name in CHOICES]
    named = [
        f"{folder.relative_to(SCRIPTS).as_posix().replace('/', '.')}.{path.stem}"
        for folder in folders
        for path in [*folder.glob("*.py"), *folder.glob("*/")]
        if path.stem[0] != "_" and (path.suffix or (path / "__init__.py").exists())
    ]
    # The command line, and what only rules and registries import.
    named += ["aiev.recipes.aiev_instruct.audited", *PROMPT_SETS]
    named += ["aiev.__main__", "aiev.config.load", "aiev.seeds.watch"]
    parts = code_parts(SCRIPTS / "write_dialogues.py", named)
    seen = {path for script in SCRIPTS.glob("*.py") for path in reached(script.stem)}
    seen |= {part.partition(": ")[0] for part in parts}
    left = {f for f in files - seen if not f.endswith(".pyc")}
    assert {f for f in left if not f.startswith(PLUMBING)} == set()


def test_a_file_that_only_one_job_reads_counts_for_no_other():
    """An edit of the browser's page makes no sample again, and one of the duel's prompt no data."""
    files = {script.stem: reached(script.stem) for script in SCRIPTS.glob("*.py")}
    page = {p.relative_to(SCRIPTS).as_posix() for p in SCRIPTS.glob("aiev/interpreter/page/*.*")}
    assert len(page) == 4 and page <= reached("run_duel", ["aiev.interpreter.web"])
    assert {name for name, found in files.items() if found & page} == set()
    prompt = "aiev/rounds/duel/prompts/duel.md"
    assert {name for name, found in files.items() if prompt in found} == {"run_duel"}


def test_no_digest_covers_the_plumbing():
    for script in SCRIPTS.glob("*.py"):
        assert not {path for path in reached(script.stem) if path.startswith(PLUMBING)}
    assert all((SCRIPTS / path).exists() for path in PLUMBING)


def test_every_script_has_a_digest():
    scripts = sorted(SCRIPTS.glob("*.py"))
    digests = [code_digest(script) for script in scripts]
    assert len(scripts) > 10 and len(set(digests)) == len(scripts)


CLASS = """
@register
class Shape(Base):
    sides = 3

    def area(self):
        return self.sides

    def name(self):
        return "shape"


def other():
    return 1
"""


def changed_parts(tree, old, new) -> set[str]:
    """Parts of work.py's code that differ once `old` is `new` in lib/shared.py."""
    (tree / "lib/shared.py").write_text("common = 1\n" + CLASS)
    before = code_parts(tree / "work.py")
    edit(tree, "lib/shared.py", old, new)
    after = code_parts(tree / "work.py")
    return {name for name in before | after if before.get(name) != after.get(name)}


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("common = 1", "common = 2", {"(module)"}),
        ("return self.sides", "return 2 * self.sides", {"Shape.area"}),
        ("def name(self)", "async def name(self)", {"Shape.name"}),
        ("sides = 3", "sides = 4", {"Shape"}),
        ("(Base)", "", {"Shape"}),
        ("@register", "@forget", {"Shape"}),
        ("return 1", "return 2", {"other"}),
        ("def other()", "def another()", {"(module)", "other", "another"}),
        ("def name", "def area", {"Shape", "Shape.area", "Shape.name"}),
    ],
)
def test_the_part_that_changed_is_named(old, new, parts, tree):
    assert changed_parts(tree, old, new) == {f"lib/shared.py: {part}" for part in parts}


def test_the_order_of_definitions_and_what_a_name_means_last_count(tree):
    def place(text):
        (tree / "lib/shared.py").write_text(text)
        return digest(tree)

    one, two = "def f():\n    return 1\n", "def f():\n    return 2\n"
    assert len({place(one), place(two), place(one + two), place(two + one)}) == 4


def test_the_description_of_a_config_key_does_not_count(tree):
    path = tree / "lib/plain.py"
    path.write_text("value = Field(1, ge=1, description='Old words.')\n")
    before = code_digest(tree / "work.py")
    path.write_text("value = Field(1, ge=1, description='New words.')\n")
    assert code_digest(tree / "work.py") == before
    path.write_text("value = Field(2, ge=1, description='New words.')\n")
    assert code_digest(tree / "work.py") != before
