"""`aiev run`: the workflow, through Snakemake with the options that a run needs."""

import difflib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, check_checkout, ledger_of
from aiev.core.errors import UserError

QUIET = ["--quiet", "rules", "progress", "host", "reason"]
OPTIONS = ("--config", "--cores")
CLOSE = 0.85
"""How alike a mistyped option is to one of ours; Snakemake's own are less so."""
FLAGS = ("-n", "--dry-run", "--dryrun")
"""Options of Snakemake without a value, behind which a config may stand by mistake."""

CoresOption = Annotated[
    int | None,
    typer.Option("--cores", min=1, metavar="N", help="Processors to use.", show_default="all"),
]


def run(
    context: typer.Context, config: ConfigOption = DEFAULT_CONFIG, cores: CoresOption = None
) -> None:
    """Run the pipeline from seeds to scores, then print the scores.

    Only what is stale is made again, and no answered question is asked again, so that the same
    command goes on after any stop. Further arguments go to Snakemake: a dry run, a target, a
    profile. With any such argument you see Snakemake's usual output, and the scores are not
    printed.

    \b
      aiev run --cores 2
      aiev run --config config/gate-shut.yaml
      aiev run --dry-run
      aiev run results/laptop/data/tagged.jsonl
      aiev run --config config/mine.yaml --profile profiles/slurm

    Exits as the run does: 2 for a mistake that you can fix, 3 for a model that does not answer, 4
    at the budget.
    """
    from aiev.config.load import keys_of
    from aiev.engine.directories import check_directories

    more = list(context.args)
    _check_arguments(more)
    check_checkout(config)
    check_directories()
    keys_of(config)  # Snakemake says less of a file that it cannot read, or shows a traceback
    command = [str(Path(sys.executable).parent / "snakemake"), f"--configfile={config}"]
    command += [] if more else QUIET
    # A profile says itself how many jobs run at once.
    if cores or not any(word.startswith("--profile") for word in more):
        command += ["--cores", str(cores or os.cpu_count())]
    code = 0
    if _needs_check(config, more):
        _check_keys(config)
        checked = _checked(config)
        code = _wait_for([*command, *more, str(checked), *_named_tasks(config)])
        if not code:
            checked.touch()  # also where nothing was to be checked again
    code = code or _wait_for(command + more)
    if code:
        raise typer.Exit(code)
    if not more:
        from aiev.cli.summary import summary

        summary(config)


def _checked(config: Path) -> Path:
    """The file that says what a check of the models found (rules/preflight.smk)."""
    from aiev.config.load import read_config

    return Path("logs") / read_config(config)["name"] / "models.json"


def _named_tasks(config: Path) -> list[str]:
    """Files of the benchmarks' tasks that the config names by their ids: whether there are such is
    found out before anything is paid for, too."""
    from aiev.config.load import read_config

    read = read_config(config)
    folder = Path("results", read["name"], "eval")
    benchmarks = read["evaluation"]["benchmarks"].items()
    return [str(folder / f"{name}.jsonl") for name, own in benchmarks if own["subset_ids"]]


def _needs_check(config: Path, words: list[str]) -> bool:
    """Whether the models are to be checked before anything is paid for: of a whole run, with or
    without a profile, where a file that decides the questions has changed since the last check."""
    from aiev.config.load import read_config

    whole = not words or (words[0] == "--profile" and len(words) == 2)
    whole |= len(words) == 1 and words[0].startswith("--profile=")
    if not whole or not (read := read_config(config))["execution"]["preflight"]:
        return False
    checked = _checked(config)
    times = [path.stat().st_mtime for path in _decisive(config, read) if path.exists()]
    return not checked.is_file() or checked.stat().st_mtime < max(times)


def _decisive(config: Path, read: dict[str, Any]) -> Iterator[Path]:
    """Files, and directories with all that is in them, that decide what a check of the models
    asks, the config first."""
    from aiev.provenance.rebuild import own_files
    from aiev.training.chat import template_file

    yield from (config, Path("config/resources.yaml"))
    student = read["models"]["student"]
    if student["chat_template"]:
        yield template_file(student["chat_template"])
    for path in map(Path, [*own_files(read), *filter(None, [student["checkpoint"]])]):
        yield path
        yield from path.rglob("*")


def _check_keys(config: Path) -> None:
    """Raise UserError for a key that is not set, before the student is fetched for the check.

    Only where that check is sure to ask: it was never made, and no answer is on record.
    """
    from aiev.config.load import read_config
    from aiev.llm.endpoints import needs_weights, serve, with_server

    read = read_config(config)
    execution = read["execution"]
    replays = execution["ledger"]["mode"] == "replay"
    if replays or _checked(config).is_file() or any(ledger_of(read).glob("??/*.json")):
        return
    for role, model in read["models"].items():
        if not needs_weights(model):  # it starts by reading its keys, and asks nothing
            served = with_server({**model, "role": role}, execution)
            with serve(served, None, Path(), None) as endpoint:
                endpoint.start()


def _check_arguments(words: list[str]) -> None:
    """Raise UserError for what Snakemake would misread: a second config among its arguments, where
    the summary would show only one; an abbreviation of an option of this command, or a mistyped
    one; a config without --config, which it would take for an output."""
    for before, word in zip(["", *words], words, strict=False):
        option = word.partition("=")[0]
        own = next((name for name in OPTIONS if len(option) > 2 and name.startswith(option)), None)
        if own:
            raise UserError(
                f"{option} is not an option of this command, which knows no abbreviations",
                where=" ".join(words),
                hint=f"write {own}",
            )
        if option.startswith("--configf"):  # Snakemake knows --configfiles too, and abbreviations
            raise UserError(
                f"{option} is an option of Snakemake, which gets the config from this command",
                where=" ".join(words),
                hint="name the run's config with --config FILE",
            )
        if close := difflib.get_close_matches(option, OPTIONS, 1, CLOSE):
            hint = f"did you mean {close[0]}?"
            raise UserError(f"no such option: {option}", where=" ".join(words), hint=hint)
        is_value = before.startswith("-") and before not in FLAGS
        if word.endswith((".yaml", ".yml")) and Path(word).is_file() and not is_value:
            hint = f"name it with --config {word}"
            raise UserError("a config, and no output of the run", where=word, hint=hint)


def _wait_for(command: list[str]) -> int:
    """Exit code of `command`, which ends before this does, also after Ctrl-C and SIGTERM."""
    from aiev.core.process import die_with_parent, raise_on_terminate

    raise_on_terminate()
    process = subprocess.Popen(command, preexec_fn=die_with_parent)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()  # the terminal has sent SIGINT to both: it is stopping its jobs
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
