"""`aiev COMMAND`: everything that a user does with a run, apart from editing its config."""

import typer

from aiev.cli import (
    audit,
    bench,
    chat,
    configs,
    costs,
    curve,
    gc,
    ledger,
    lint,
    plan,
    run,
    sandbox_image,
    schema,
    score,
    serve,
    summary,
    verify,
    web,
    why,
)
from aiev.cli.errors import handle_errors

HELP = """Make code-instruction data with AIEV-Instruct, train a student on it, and score it.

Run it in a checkout of the project. One config file describes one run; config/config.yaml, the
default of every command, is a complete small run on a laptop without a key.

\b
  aiev plan                            what a run would do, and cost at most
  aiev run --cores 2                   do it; the same command goes on after a stop
  aiev summary                         its scores
  aiev why results/laptop/scores.md    how a file was made, and why it would be made again

`aiev COMMAND --help` describes a command, with examples.

Exit codes: 0 success; 1 a difference, or a defect of the program; 2 a mistake that you can fix;
3 a model does not answer; 4 the budget is reached; 130 interrupted.
"""

app = typer.Typer(
    name="aiev",
    help=HELP,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
packed = typer.Typer(
    help="The ledger holds every answer of a model. Publish it as one file, take such a file in, "
    "or look at one answer.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

# `aiev run` passes on what it does not know to Snakemake.
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

COMMANDS = (
    ("run", run.run, "Run the pipeline, then print the scores."),
    ("plan", plan.plan, "What a run would do and cost."),
    ("summary", summary.summary, "Scores of a finished run."),
    ("score", score.score, "Score any sample file on a benchmark."),
    ("costs", costs.costs, "Tokens and dollars paid so far."),
    ("why", why.why, "How a file was made, and why it would be made again."),
    ("verify", verify.verify, "Rebuild a finished run without a model; compare."),
    ("audit", audit.audit, "How often `verified` is right, by policy."),
    ("curve", curve.curve, "Run rate by number of training dialogues."),
    ("chat", chat.chat, "Talk to a model with the code interpreter."),
    ("serve", serve.serve, "Serve a model by the OpenAI API, code already run."),
    ("web", web.web, "Talk to a model in a browser."),
    ("gc", gc.gc, "Free disk space: delete the least recently used cache entries."),
    ("configs", configs.configs, "List the shipped runs."),
    ("schema", schema.schema, "Describe every config key."),
    ("lint", lint.lint, "Check the rules with Snakemake's lint."),
    ("sandbox-image", sandbox_image.sandbox_image, "Build the image of the Docker sandbox."),
    ("bench", bench.bench, "Run benchmarks."),
)
LEDGER_COMMANDS = (
    ("pack", ledger.pack, "Put all answers into one file."),
    ("unpack", ledger.unpack, "Add the answers of such a file."),
    ("show", ledger.show, "Print one question and its answer."),
)

for name, function, summary_line in COMMANDS:
    context = PASS_ON if name == "run" else {}
    decorate = app.command(name, short_help=summary_line, context_settings=context)
    decorate(handle_errors(f"aiev {name}", function))
for name, function, summary_line in LEDGER_COMMANDS:
    packed.command(name, short_help=summary_line)(handle_errors(f"aiev ledger {name}", function))
app.add_typer(packed, name="ledger", short_help="Pack, unpack and inspect recorded answers.")


def main() -> None:
    """Run the command line of this process, and exit with its status."""
    app(prog_name="aiev")
