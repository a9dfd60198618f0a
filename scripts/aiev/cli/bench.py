"""`aiev bench`: what things cost, beside what else could do them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from aiev.cli.options import check_checkout
from aiev.core.errors import UserError

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Benchmarks to run.", show_default="all but the long"),
]


def bench(names: NamesArgument = None) -> None:
    """Run benchmarks; print one JSON object a line.

    Each has a name, a value with its unit, the peer that it was measured against in the same run
    with the peer's value, and their ratio, above 1 where it is better than the peer. Eight need a
    Slurm cluster, gigabytes of disk, EvalPlus's files, TRL or minutes, and run only by name:
    slurm_job, dag_186000, ledger_million, store_million, paid_call, evalplus, sandbox, training.

    \b
      aiev bench
      aiev bench noop ledger_write
    """
    check_checkout()
    always, by_name = _benches()
    known = {bench.__name__: bench for bench in (*always, *by_name)}
    for name in names or [bench.__name__ for bench in always]:
        if name not in known:
            raise UserError(
                f"no benchmark is called {name!r}", hint=f"use one of {', '.join(known)}"
            )
        known[name]()


def _benches() -> tuple[tuple, tuple]:
    """Benchmarks that always run, and those that run only by name."""
    sys.path.insert(0, str(Path(__file__).parents[2]))  # scripts/, where they lie
    from benches.cluster import slurm_job
    from benches.dialogues import dialogue_saturation, dialogues
    from benches.evaluation import evalplus
    from benches.evidence import evidence
    from benches.interpreter import interpreter
    from benches.ledger import ledger_read, ledger_write
    from benches.sandbox import sandbox, sandbox_bubblewrap, sandbox_docker, sandbox_layer
    from benches.scale import ledger_million, store_million
    from benches.sft import training
    from benches.spending import open_calls, paid_call
    from benches.training import packing
    from benches.workflow import dag_10000, dag_186000, noop

    always = (dialogue_saturation, dialogues, sandbox_bubblewrap, sandbox_docker, sandbox_layer)
    always += (evidence, noop, dag_10000, ledger_read, ledger_write, open_calls, interpreter)
    always += (packing,)
    by_name = (slurm_job, dag_186000, ledger_million, store_million, paid_call, evalplus, sandbox)
    return always, (*by_name, training)
