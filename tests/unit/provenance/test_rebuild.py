"""What a rebuild is given beside the code of the project."""

import pytest

from aiev.core.errors import UserError
from aiev.provenance.rebuild import CODE, Rebuild, check_shape

CONFIG = {
    "seeds": {"sources": [{"kind": "my/gists.py", "path": "code"}, {"kind": "directory"}]},
    "evaluation": {
        "benchmarks": {"mine": {"kind": "my/benchmark.py"}, "other": {"language": "cpp"}}
    },
    "dialogues": {"recipe": "recipe.py", "language": "python", "prompts": "texts/"},
    "models": {"teacher": {"kind": "config/relay.py", "name": "model.py"}},
}


def manifest(**config) -> dict:
    return {"run": "r", "config": config, "environment": "", "artifacts": {}}


@pytest.fixture
def checkout(tmp_path):
    files = (
        "my/gists.py",
        "my/benchmark.py",
        "my/prompts/ask.md",
        "recipe.py",
        "texts/prompts.toml",
    )
    for name in (*files, *(f"{name}/file" for name in CODE[1:]), "model.py", "small/file"):
        place = tmp_path / "checkout" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(name)
    (tmp_path / "checkout/Snakefile").write_text("")
    return tmp_path / "checkout"


def test_own_code_and_prompts_that_the_config_chooses_are_linked(checkout, tmp_path):
    place = tmp_path / "place"
    Rebuild(place, manifest(**CONFIG)).prepare(checkout, tmp_path / "ledger")
    for name in ("my/gists.py", "my/benchmark.py", "my/prompts/ask.md", "recipe.py"):
        assert (place / name).read_text() == name
    assert (place / "texts").is_symlink() and (place / "texts/prompts.toml").is_file()
    assert not (place / "model.py").exists() and not (place / "small").exists()


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"dialogues": {"recipe": "/home/me/recipe.py"}}, "/home/me/recipe.py"),
        ({"dialogues": {"prompts": "../texts"}}, "../texts"),
        ({"seeds": {"sources": [{"kind": "../gists.py"}]}}, "../gists.py"),
        ({"evaluation": {"benchmarks": {"b": {"kind": "results/b.py"}}}}, "results/b.py"),
    ],
)
def test_a_path_in_the_config_that_leads_elsewhere_is_refused(config, path, tmp_path):
    with pytest.raises(UserError, match=f"{path}: a path in the manifest that"):
        check_shape(manifest(**config), tmp_path / "manifest.json")


def test_names_of_what_ships_with_the_project_are_no_paths(tmp_path):
    shipped = {"dialogues": {"recipe": "aiev-instruct", "prompts": "small", "language": "python"}}
    check_shape(manifest(**shipped, more=[[1, None], {"kind": 5}]), tmp_path / "manifest.json")
