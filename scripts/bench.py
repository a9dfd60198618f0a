"""Benchmarks: `python scripts/bench.py [NAME]`, one JSON object a line; a few by name only.

Each line: name, value, unit, peer (what it is measured against, in the same run), peer_value, and
ratio, above 1 where it is better than the peer.
"""

import sys

from aiev.core.errors import UserError
from benches.cluster import slurm_job
from benches.dialogues import dialogue_saturation
from benches.ledger import ledger_read, ledger_write
from benches.sandbox import sandbox_bubblewrap, sandbox_docker, sandbox_layer
from benches.scale import ledger_million, store_million
from benches.workflow import dag_10000, dag_186000, noop

ALWAYS = (
    *(dialogue_saturation, sandbox_bubblewrap, sandbox_docker, sandbox_layer),
    *(noop, dag_10000, ledger_read, ledger_write),
)
BY_NAME = (slurm_job, dag_186000, ledger_million, store_million)
"""They need a Slurm or gigabytes of disk, or say what a page of the docs says."""

BENCHES = {bench.__name__: bench for bench in (*ALWAYS, *BY_NAME)}


def main() -> None:
    names = sys.argv[1:] or [bench.__name__ for bench in ALWAYS]
    for name in names:
        if name not in BENCHES:
            raise UserError(f"no benchmark is called {name!r}", hint=f"one of {', '.join(BENCHES)}")
        BENCHES[name]()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"bench: {error}")
