"""The command line: every command can be asked for help, and every error is words."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import get_args, get_type_hints

import pytest
import typer
from command import AIEV, ROOT, aiev, aiev_here, environment

from aiev.cli.audit import audit
from aiev.cli.conversing import Conversing
from aiev.cli.errors import handle_errors
from aiev.cli.main import COMMANDS, LEDGER_COMMANDS
from aiev.cli.run import OPTIONS, _check_arguments
from aiev.core.errors import BudgetError, UserError
from aiev.interpreter.models import TriggerName
from aiev.recipes.verification.audit import BENCHMARKS, EXAMPLES

WORDS = [[name] for name, *_ in COMMANDS] + [["ledger", name] for name, *_ in LEDGER_COMMANDS]
WITH_CONFIG = [
    *(["plan"], ["summary"], ["costs"], ["why", "results/x"], ["verify"], ["run"]),
    *(["ledger", "pack", "x.gz"], ["ledger", "unpack", "x.gz"], ["ledger", "show", "ab"]),
    *(
        ["score", "--samples", "x.jsonl", "--tasks", "y.jsonl"],
        ["chat"],
        ["serve"],
        ["web"],
        ["curve"],
    ),
]
IN_A_CHECKOUT = [["run"], ["plan"], ["why", "x"], ["verify"], ["configs"], ["lint"], ["schema"]]
IN_A_CHECKOUT += [["gc", "5GiB"], ["chat"], ["serve"], ["web"], ["curve"]]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_each_command_explains_itself_and_its_options(words):
    done = aiev_here(*words, "--help")
    assert done.returncode == 0 and f"Usage: aiev {' '.join(words)}" in done.stdout
    body = done.stdout.partition("\n\n")[2]
    assert len(body.split("\n\n")[0].split()) >= 5, "it says what the command does"


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_each_option_names_its_value_in_a_word(words):
    """And not its type; a choice lists what there is to choose."""
    usage, _, options = aiev_here(*words, "--help").stdout.partition("Options:")
    assert "[[" not in usage and not re.search(r"<(str|path|int|float)\b|--\w+ F ", options)


def test_the_choices_are_those_of_the_library():
    kinds = get_type_hints(audit, include_extras=False)
    assert get_args(kinds["benchmark"]) == tuple(BENCHMARKS)
    assert set(get_args(kinds["examples"])) == set(EXAMPLES)
    assert get_args(get_type_hints(Conversing)["trigger"]) == get_args(TriggerName)


def test_the_list_of_commands_is_not_cut_off():
    text = aiev("--help").stdout
    assert all(f"\n  {words[0]} " in text for words in WORDS)
    assert "..." not in text.partition("Commands:")[2]


def test_help_is_there_at_once():
    """Nothing heavy is imported, however busy this machine is."""
    command = [*AIEV[:1], "-X", "importtime", *AIEV[1:], "--help"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"typer", "aiev.cli.main"} <= imported
    assert not imported & {"torch", "yaml", "openai", "docker", "rich", "aiev.config.load"}


@pytest.mark.parametrize("words", WITH_CONFIG, ids=" ".join)
def test_a_missing_config(words):
    done = aiev_here(*words, "--config", "config/nope.yaml")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "no such config\n  where: config/nope.yaml\n  hint: " in done.stderr


@pytest.mark.parametrize("words", IN_A_CHECKOUT, ids=" ".join)
def test_another_directory_than_a_checkout(words, tmp_path):
    done = aiev_here(*words, root=tmp_path)
    assert done.returncode == 2 and "not a checkout" in done.stderr
    assert str(tmp_path) in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["verfy"], "Did you mean 'verify'"),
        (["plan", "--confg", "x"], "No such option: --confg"),
        (["why"], "Missing argument 'FILE'"),
        (["run", "--cores", "many"], "Input should be a valid integer"),
        (["run", "--cores", "0"], "Input should be greater than or equal to 1"),
        (["run", "--configfile", "x.yaml"], "hint: name the run's config with --config FILE"),
        (["run", "-n", "--configfiles=x.yaml"], "--configfiles is an option of Snakemake"),
        (["run", "--configf", "x.yaml"], "hint: name the run's config with --config FILE"),
        (["run", "--cor", "2"], "--cor is not an option of this command"),
        (["run", "-n", "--conf=x.yaml"], "hint: write --config"),
        (
            ["run", "--confg", "x.yaml"],
            "no such option: --confg\n  where: --confg x.yaml\n  hint: did",
        ),
        (["run", "--coers=2"], "hint: did you mean --cores?"),
        (
            ["run", "config/by-url.yaml"],
            "a config, and no output of the run\n  where: config/by-url.yaml\n"
            "  hint: name it with --config config/by-url.yaml",
        ),
        (["run", "-n", "config/by-url.yaml"], "a config, and no output of the run"),
        (["plan", "--config", "config"], "this is a directory, and a file is needed"),
        (["costs", "--config", "config"], "this is a directory, and a file is needed"),
        (
            ["score", "--samples", "README.md", "--tasks", "none"],
            "no such file of tasks\n  where: none\n  hint: ",
        ),
        (
            ["score", "--samples", "none", "--benchmark", "humaneval"],
            "no such sample file\n  where: none\n  hint: ",
        ),
        (["verify", "--manifest", "none"], "no such manifest\n  where: none\n  hint: name a pub"),
        (["audit", "--examples", "foo"], "'foo' is not one of 'kept', 'removed', 'wrong'"),
        (["audit", "--benchmark", "foo"], "'foo' is not one of 'humaneval', 'mbpp'"),
        (["chat", "--trigger", "foo"], "'foo' is not one of 'auto', 'tokens', 'fences'"),
    ],
)
def test_a_mistyped_command_line(words, told):
    done = aiev_here(*words)
    assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("record", [".", "Snakefile/audit.jsonl"])
def test_an_audit_that_could_not_write_its_record_ends_before_anything_is_opened(record, tmp_path):
    """Not after hours of questions."""
    (tmp_path / "Snakefile").touch()
    (tmp_path / "config").symlink_to(ROOT / "config")
    done = aiev_here("audit", "--record", record, root=tmp_path)
    assert done.returncode == 2 and f"where: {record}\n" in done.stderr
    assert "hint: name another file with --record" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"Snakefile", "config"}


def test_the_folder_of_an_audit_s_record_is_made(tmp_path):
    """Here the audit then ends, as there is no such prompt set."""
    (tmp_path / "Snakefile").touch()
    (tmp_path / "config").symlink_to(ROOT / "config")
    words = ("--record", "new/folder/audit.jsonl", "--prompts", "nowhere")
    done = aiev_here("audit", *words, root=tmp_path)
    assert done.returncode == 2 and (tmp_path / "new/folder").is_dir(), done.stderr


def test_no_message_names_a_variable_of_make():
    """`aiev` has options of its own."""
    files = [*(ROOT / "scripts/aiev").rglob("*.py"), ROOT / "config/schema.yaml"]
    found = [path for path in files if re.search(r"[A-Z]+=(yes|no)\b", path.read_text("utf-8"))]
    assert len(files) > 200 and found == []
    texts = [path.read_text("utf-8") for path in files]
    assert not [text for text in texts if re.search(r"`make (run|plan|why|verify|costs)\b", text)]


def test_no_option_of_snakemake_is_taken_for_a_mistyped_one_of_ours():
    from snakemake.cli import get_argument_parser

    known = {option for each in get_argument_parser()._actions for option in each.option_strings}
    for option in known - {*OPTIONS, "--configfile", "--configfiles"}:
        _check_arguments([option])
    _check_arguments(["--slurm-partition-config", "config/by-url.yaml"])


def test_run_passes_on_what_snakemake_understands():
    # Forced, as this checkout may hold the file.
    words = ("results/laptop/seeds/000.jsonl", "--forcerun", "mine_seeds", "--dry-run")
    done = aiev("run", *words, "--nocolor")
    assert done.returncode == 0, done.stderr
    assert "mine_seeds" in done.stdout and "write_dialogues" not in done.stdout


def test_run_fails_where_snakemake_does(tmp_path):
    """A workflow of one rule, which does not make the file."""
    (tmp_path / "Snakefile").write_text("rule one:\n    output: 'one.txt'\n")
    (tmp_path / "config").symlink_to(ROOT / "config")
    done = aiev("run", "--dry-run", "results/laptop/nothing.jsonl", root=tmp_path)
    assert done.returncode == 1 and "MissingRuleException" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("more", "answers", "code"),
    [("", False, 2), ("{mode: replay}", False, 1), ("", True, 1)],
    ids=["at once", "not in replay mode", "not where answers are on record"],
)
def test_a_key_that_is_not_set_is_told_before_anything_is_fetched(more, answers, code, tmp_path):
    """Where it does not need one, it goes on to the workflow, which here has no rule."""
    (tmp_path / "Snakefile").touch()
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "mine.yaml").write_text(
        f"models: {{teacher: {{name: t, kind: openai}}}}\nexecution: {{ledger: {more or '{}'}}}\n"
    )
    if answers:
        (tmp_path / "ledger/ab").mkdir(parents=True)
        (tmp_path / "ledger/ab/abc.json").write_text("{}")
    done = aiev_here("run", "--config", "mine.yaml", root=tmp_path, OPENAI_API_KEY="")
    assert done.returncode == code, done.stderr
    assert ("no API key is set for the model t" in done.stderr) == (code == 2)
    assert (tmp_path / ".snakemake").exists() == (code != 2)


def test_costs_for_another_program():
    done = aiev("costs", "--json", root=ROOT)
    assert done.returncode == 0 and done.stdout.startswith("[")


def test_a_malformed_and_an_unknown_key(tmp_path):
    done = aiev_here("ledger", "show", "xyz", "--ledger", tmp_path)
    assert done.returncode == 2 and "not a key: 'xyz'" in done.stderr
    done = aiev_here("ledger", "show", "abc", "--ledger", tmp_path)
    assert done.returncode == 2 and "no answer has the key abc" in done.stderr
    assert "hint: aiev why FILE lists the keys" in done.stderr


def fails_with(error: BaseException):
    def command() -> None:
        raise error

    return handle_errors("aiev x", command)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (UserError("bad", where="a.yaml", hint="fix it"), 2, "bad\n  where: a.yaml\n  hint: fix"),
        (BudgetError("the budget is reached"), 4, "the budget is reached"),
        (
            PermissionError(13, "Permission denied", "x.json"),
            2,
            "Permission denied\n  where: x.json\n  hint: free some space or fix the permissions",
        ),
        (
            FileExistsError(17, "File exists", "results"),
            2,
            "File exists\n  where: results\n  hint: a file is where a directory is needed",
        ),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to continue"),
        (RuntimeError("odd"), 1, "a defect of this program: RuntimeError: odd\n  where: "),
    ],
)
def test_an_error_becomes_text_and_an_exit_code(error, code, told, capsys):
    with pytest.raises(typer.Exit) as caught:
        fails_with(error)()
    output = capsys.readouterr()
    assert caught.value.exit_code == code and output.out == ""
    assert output.err.startswith(f"aiev x: {told}") and "Traceback" not in output.err


def test_the_traceback_of_a_defect_is_where_the_message_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".aiev").mkdir()
    with pytest.raises(typer.Exit):
        fails_with(RuntimeError("odd"))()
    (path,) = (tmp_path / ".aiev").iterdir()
    assert f"{path.relative_to(tmp_path)}" in capsys.readouterr().err
    assert "Traceback" in path.read_text() and "RuntimeError: odd" in path.read_text()


def test_a_reader_that_goes_away():
    """`aiev schema | head -1`: the rest has nobody to read it."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [*AIEV, "schema"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert done.returncode == 141 and done.stderr == ""


def test_interrupting_a_run_ends_the_workflow_first(tmp_path):
    """A stand-in for Snakemake, which takes a moment to stop."""
    fake = tmp_path / "bin/python"
    fake.parent.mkdir()
    fake.symlink_to(sys.executable)
    snakemake = tmp_path / "bin/snakemake"
    snakemake.write_text(
        "#!/bin/sh\ntrap 'sleep 0.5; touch stopped; exit 1' INT\ntouch started\n"
        "while :; do sleep 0.1; done\n"
    )
    snakemake.chmod(0o755)
    (tmp_path / "Snakefile").touch()
    shutil.copytree(ROOT / "config", tmp_path / "config")
    code = f"import sys; sys.executable = {str(fake)!r}; from aiev.cli.main import app; app()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "--config", "config/config.yaml"],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(600):
        if (tmp_path / "started").exists():
            break
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, output = process.communicate(timeout=30)
    assert process.returncode == 130 and (tmp_path / "stopped").exists()
    assert "run the same command again to continue" in output


def test_a_schema_that_is_not_up_to_date(tmp_path):
    """Written, it is; edited by hand, it is not."""
    (tmp_path / "Snakefile").touch()
    (tmp_path / "config").mkdir()
    schema = tmp_path / "config/schema.yaml"
    assert "differs from the config models" in aiev("schema", "--check", root=tmp_path).stderr
    assert aiev("schema", "--write", root=tmp_path).stdout.endswith("schema.yaml: written\n")
    assert schema.read_bytes() == (ROOT / "config/schema.yaml").read_bytes()
    done = aiev("schema", "--check", root=tmp_path)
    assert done.returncode == 0 and done.stdout.endswith("schema.yaml: up to date\n")
    schema.write_text(schema.read_text() + "# edited\n")
    done = aiev("schema", "--check", root=tmp_path)
    assert done.returncode == 2 and "hint: run: aiev schema --write" in done.stderr
