"""The meaning of code: what moves the digest and what does not."""

import os
import shutil
from pathlib import Path

import pytest

from aiev.core.errors import UserError
from aiev.engine import codehash
from aiev.engine.codehash import code_digest, code_parts, known_code

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
    codehash._module.cache_clear()
    return tmp_path


def digest(tree, script="work.py") -> str:
    codehash._module.cache_clear()
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


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("importlib.import_module(name)", "computed name"),
        ("__import__('lib.' + name)", "computed name"),
        ("__import__(name)", "computed name"),
        ("__import__('lib', fromlist=['unrelated'])", "computed name"),
        ("import_module(f'lib.{name}')", "computed name"),
        ("import_module('.unrelated', name)", "computed name"),
        ("importlib.import_module()", "computed name"),
        ("im(name)", "computed name"),
        ("runpy.run_module(name)", "computed name"),
        ("runpy.run_path('lib/unrelated.py')", "run_path"),
        ("rp('lib/unrelated.py')", "run_path"),
        ("util.spec_from_file_location('x', name)", "spec_from_file_location"),
        ("machinery.SourceFileLoader('x', name).load_module()", "load"),
        ("load = importlib.import_module", "under another name"),
        ("list(map(im, [name]))", "under another name"),
        ("getattr(importlib, 'import_module')(name)", "under another name"),
        ("exec(open(name).read())", "exec takes from a file"),
        ("exec(compile(Path(name).read_text(), name, 'exec'))", "from a file"),
    ],
)
def test_an_import_that_cannot_be_followed_is_an_error(line, told, tree):
    imports = "from importlib import import_module as im; from runpy import run_path as rp\n"
    (tree / "lib/plain.py").write_text(f"{imports}def add(a, b):\n    {line}\n")
    with pytest.raises(UserError, match=told) as caught:
        digest(tree)
    assert "plain.py, line 3" in caught.value.where and caught.value.hint


def test_a_program_in_a_variable_is_no_import(tree):
    edit(tree, "lib/plain.py", "    return", "    exec(compile(a, 'main.py', 'exec'))\n    return")
    digest(tree)


def test_a_function_that_has_a_loader_s_name_is_none(tree):
    (tree / "lib/shared.py").write_text("def run_module(a):\n    pass\n\n\nrun_module(__name__)\n")
    (tree / "lib/plain.py").write_text("from lib.shared import run_module\nrun_module(__name__)\n")
    digest(tree)


@pytest.mark.parametrize("call", ["import_module", "im", "__import__", "runpy.run_module"])
def test_an_import_by_a_constant_name_is_followed(call, tree):
    imports = "from importlib import import_module as im\n"
    (tree / "lib/plain.py").write_text(f"{imports}def add(a, b):\n    {call}('lib.unrelated')\n")
    before = digest(tree)
    edit(tree, "lib/unrelated.py", "x = 1", "x = 2")
    assert digest(tree) != before


def test_circular_imports_end(tree):
    edit(tree, "lib/shared.py", "common = 1", "from lib.deep import sibling\ncommon = 1")
    assert digest(tree) == digest(tree)


@pytest.fixture
def reached(monkeypatch):
    """The project's files that a script's digest covers."""
    seen: set[str] = set()
    follow = codehash._files_of

    def record(*arguments):
        files = follow(*arguments)
        seen.update(file.relative_to(SCRIPTS).as_posix() for file in files)
        return files

    def reach(script: str) -> set[str]:
        seen.clear()
        code_digest(SCRIPTS / f"{script}.py")
        return set(seen)

    monkeypatch.setattr(codehash, "_files_of", record)
    return reach


def test_this_project_s_rules_see_what_they_run_and_no_more(reached):
    writes = reached("write_dialogues")
    assert {
        "aiev/recipes/aiev_instruct/dialogue.py",
        "aiev/recipes/verification/checks.py",
        "aiev/languages/python/run_main.py",
    } <= writes
    assert {"aiev/sandbox/inside/bootstrap.py", "aiev/sandbox/inside/worker.py"} <= writes
    assert "aiev/llm/endpoints/llamacpp_server.py" in writes
    assert {"aiev/recipes/aiev_instruct/prompts/revise.md", "aiev/core/templates.py"} <= writes
    assert (
        not {"aiev/seeds/mine.py", "aiev/dataset/tags.py", "aiev/training/supervisor.py"} & writes
    )
    assert "aiev/evaluation/benchmarks/boxed/run_evalplus.py" in reached("score_samples")
    assert "aiev/evaluation/benchmarks/boxed/record_inputs.py" in reached("prepare_benchmark")
    assert "aiev/training/worker.py" in reached("train_model")
    assert "aiev/evaluation/prompts/benchmark.md" in reached("generate_samples")
    assert not {
        "aiev/recipes/aiev_instruct/dialogue.py",
        "aiev/recipes/aiev_instruct/prompts/solve.md",
    } & reached("mine_seeds")


RUN_UNTRUSTED = {
    *("bench", "build_sandbox_image"),
    *("prepare_benchmark", "prove_benchmark", "run_duel", "score_samples", "write_dialogues"),
}
"""The mains that open the sandbox. An edit in it must make nothing else stale: no training above
all, and no question to a model."""


def test_only_what_runs_untrusted_code_sees_the_sandbox():
    mains = {script.stem: code_parts(script) for script in SCRIPTS.glob("*.py")}
    sandboxed = {m for m, parts in mains.items() if any("aiev/sandbox/" in p for p in parts)}
    assert sandboxed == RUN_UNTRUSTED


UNREACHED = {
    "aiev/engine/tampering.py": "called by rules/common.smk, before any job: it makes no output",
    "aiev/engine/slurm.py": "called by rules/cluster.smk: how Snakemake hears of jobs",
    "aiev/engine/snapshot.py": "called by rules/common.smk: it copies the code whose digest counts",
}


def test_every_file_of_the_library_is_in_some_digest():
    """One that is started or copied by a name that is put together would make nothing stale."""
    files = {p.relative_to(SCRIPTS).as_posix() for p in (SCRIPTS / "aiev").rglob("*.*")}
    reached = {
        part.partition(": ")[0] for script in SCRIPTS.glob("*.py") for part in code_parts(script)
    }
    assert {f for f in files - reached if not f.endswith(".pyc")} == set(UNREACHED)


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
    codehash._module.cache_clear()
    before = code_parts(tree / "work.py")
    edit(tree, "lib/shared.py", old, new)
    codehash._module.cache_clear()
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
        codehash._module.cache_clear()
        return digest(tree)

    one, two = "def f():\n    return 1\n", "def f():\n    return 2\n"
    assert len({place(one), place(two), place(one + two), place(two + one)}) == 4


def test_a_claimed_digest_is_believed_until_the_code_is_touched(tree, monkeypatch):
    store = tree.parent / f"{tree.name}-code"
    known = known_code(tree / "work.py", store)
    assert known == digest(tree) and (store / f"{known}.json").is_file()
    with monkeypatch.context() as patched:
        patched.setattr(codehash, "code_parts", None)
        assert known_code(tree / "work.py", store, known) == known
    edit(tree, "lib/plain.py", "a + b", "a - b")
    os.utime(store / f"{known}.json", (1, 1))
    codehash._module.cache_clear()
    other = known_code(tree / "work.py", store, known)
    assert other == digest(tree) != known
