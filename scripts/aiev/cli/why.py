"""`aiev why`: how a file was made, and why it would be made again."""

from pathlib import Path
from typing import Annotated

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, check_checkout

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="An output of the run.")]


def why(file: FileArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show how FILE was made, and why it would be made again.

    Names the rule, the inputs, the code, the model and its answers; then each input, parameter and
    function that has changed since, and the jobs that a run would start for it.

    \b
      aiev why results/laptop/scores.md
      aiev why results/gate-shut/rounds/1/gate.json --config config/gate-shut.yaml
    """
    check_checkout(config)
    from aiev.provenance.explain import explain

    for line in explain(file, str(config)):
        print(line)
