"""The staleness matrix: which jobs a change makes run, and how often models are asked.

Each row is run on a copy of a finished tiny run, those without a cell together: the true DAG, a
scripted teacher, the real sandbox, and a student of 15 kB whose training is stood in for (quick_training.py). Columns are rules, by the first letters of `RULES`; cells:

  .        must not run: nothing is started, or outputs of the same meaning come from the store
  x        must run
  0 1 01   must run for these shards or rounds, and for no others
  b s t    ... for these models: base, student, teacher
  r        must be there again: the outputs come back from the store, and nothing runs

`ask` counts the questions that reach a model. The last column says whether the artifacts end with
the bytes that they had (=) or may differ (~). The manifest is written, not stored, and so runs
whenever anything was started. docs/staleness.md shows this table beside stock Snakemake's.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from changes import CHANGES
from matrix import artifacts, line_of, rows_of, run_row, run_together, script
from project import ROOT
from scripted import scripted_endpoint

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TABLE = """
                              fet stu see dia clo gat dec tag tra due gte mod ben cho val sam sco dra sum man ask =
another absolute path           .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
every file touched              .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   0 =
comment in a script             .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
docstring in a script           .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
formatting of a script          .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
import order in a script        .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
comment in a module             .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
docstring in a module           .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
formatting of a module          .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
import order in a module        .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
comment in a rule               .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
comment in the config           .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
order of the config's keys      .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
config key that no rule uses    .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
speed of the server             .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
dialogues in flight             .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
steps between checkpoints       .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
edit in a module of no rule     .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
edit in the job runner          .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
edit in garbage collection      .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
edit in logging                 .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
edit in locking                 .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
edit in errors                  .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
edit in an unused endpoint      .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
edit in a module of one rule    .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   x   0 ~
edit in a module of all rules   .   x   x  01   0   x   x   x   0   0   0   .   x   x   x bst bst   x   x   x   0 =
edit in a script                .   .   .   .   0   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   0 =
order in a shell string         .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   0 =
meaning of a shell string       .   .   .   .   .   .   x   .   .   .   .   .   .   .   .   .   .   .   x   x   0 ~
prompt template                 .   .   .  01   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   2 =
DeepSpeed JSON                  .   .   .   .   .   .   .   .   0   .   .   .   .   .   .   .   .   .   .   x   0 =
environment lock                .   x   x  01   0   x   x   x   0   0   0   .   x   x   x bst bst   x   x   x   0 =
teacher temperature             .   .   .  01   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   8 =
teacher model                   .   .   .  01   0   x   x   x   .   0   0   .   .   .   .   t   .   x   x   x  38 ~
learning rate                   .   .   .   .   .   .   .   .   0   0   0   .   .   .   .   s   .   x   x   x   3 ~
LoRA                            .   .   .   .   .   .   .   .   0   0   0   .   .   .   .   s   .   x   x   x   3 ~
gate's margin                   .   .   .   .   .   .   .   .   .   .   0   .   .   .   .   .   .   x   x   x   0 ~
duel's samples                  .   .   .   .   .   .   .   .   .   0   0   .   .   .   .   .   .   x   .   x   2 ~
teaching-only arm               .   .   .   .   .   .   .   .   .   .   0   .   .   .   .   .   .   x   x   x   0 ~
least yield of a round          .   .   .   .   0   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   0 =
one more round                  .   .   .  23   1   x   x   x   1   1   1   .   .   .   .   s   .   x   x   x  25 ~
shard count                     .   .   x  01   0   x   x   x   0   0   0   .   .   .   .   s   .   x   x   x  18 ~
sandbox limits                  .   .   .  01   .   .   .   .   .   0   .   .   .   .   .   .   .   .   .   x   0 =
sandbox backend                 .   .   .  01   .   .   .   .   .   0   .   .   x   .   x   . bst   .   .   x   0 =
benchmark subset                .   .   .   .   .   .   .   .   .   .   .   .   .   x   x bst bst   .   x   x   3 ~
prompt style                    .   .   .   .   .   .   .   .   .   .   .   .   .   .   . bst bst   .   x   x   6 ~
base in other prompt styles     .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   b   b   .   x   x   2 ~
name of the run                 .   .   r   r   r   r   r   r   r   r   r   r   .   r   r   r   r   r   r   x   0 =
one seed                        .   .   x   0   0   x   x   x   0   0   0   .   .   .   .   s   .   x   x   x  11 ~
seeds appended                  .   .   x   1   0   .   x   .   .   0   0   .   .   .   .   .   .   x   x   x   9 ~
comment between the seeds       .   .   x   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   0 =
an intermediate deleted         .   .   .   .   .   r   .   .   .   .   .   .   .   .   .   .   .   .   .   x   0 =
an intermediate tampered with   .   .   .   .   r   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   0 =
checkpoint's byte flipped       .   .   .   .   .   .   .   .   .   .   .   r   .   .   .   .   .   .   .   x   0 =
... and the action store lost   .   .   .   .   .   .   .   .   .   .   .   x   .   .   .   s   s   .   x   x   0 =
all results deleted             .   .   r   r   r   r   r   r   r   r   r   r   .   r   r   r   r   r   r   x   0 =
the ledger lost                 .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
the action store lost           .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
the package layers lost         .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
... and other sandbox limits    .   .   .  01   .   .   .   .   .   0   .   .   .   .   .   .   .   .   .   x   0 =
ledger and action store lost    .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   0 =
results and ledger lost         .   .   r   r   r   r   r   r   r   r   r   r   .   r   r   r   r   r   r   x   0 =
results and action store lost   .   .   x  01   0   x   x   x   0   0   0   .   .   x   x bst bst   x   x   x   0 =
results, store, ledger lost     .   .   x  01   0   x   x   x   0   0   0   .   .   x   x bst bst   x   x   x  43 =
Snakemake's metadata lost       .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   0 =
metadata lost, learning rate    .   .   .   .   .   .   .   .   0   0   0   .   .   .   .   s   .   x   x   x   3 ~
"""
ROWS = rows_of(TABLE)


@pytest.fixture(scope="module")
def seen(request, tmp_path_factory, finished_copy):
    """`seen(name)` is what happened in that row. The rows that were asked for run in pairs: most of
    a run's time goes into starting programs, one after another.

    Edits that must make nothing run are made in one copy, and that is run: if nothing does, none of
    them is to blame for anything. Else each of these rows is run alone, to name those that are.
    """
    wanted = [item.callspec.params["name"] for item in request.session.items if _is_row(item)]
    folder = tmp_path_factory.mktemp("staleness")
    with scripted_endpoint(script) as endpoint, ThreadPoolExecutor(2) as pool:
        base = finished_copy(folder / "base", endpoint.url)
        before = artifacts(base)

        def alone(name: str):
            return run_row(name, base, folder / f"row-{wanted.index(name)}", endpoint)

        edits = [name for name in wanted if is_an_edit_without_meaning(ROWS[name])]
        together = pool.submit(run_together, edits, base, folder / "edits", endpoint)
        runs = {name: pool.submit(alone, name) for name in wanted if name not in edits}

        def found(name: str):
            if name not in edits:
                return runs[name].result()
            seen = together.result()
            quiet = seen.code == 0 and not (seen.ran or seen.back or seen.asked)
            return seen if quiet and seen.artifacts == before else alone(name)

        yield lambda name: (found(name), before)
        pool.shutdown(cancel_futures=True)


def is_an_edit_without_meaning(row) -> bool:
    """Nothing may run, and nothing is lost: what is lost in one row would be missed by others."""
    return not row.cells and "lost" not in row.name


def _is_row(item) -> bool:
    return getattr(item, "originalname", "") == test_a_row.__name__


@pytest.mark.parametrize("name", ROWS)
def test_a_row(name, seen):
    (found, before), row = seen(name), ROWS[name]
    assert found.code == 0, found.said
    expected = line_of(name, row.cells, row.asked)
    assert line_of(name, found.cells(row), found.asked) == expected, found.said
    if row.same:
        assert found.artifacts == before
    assert found.artifacts == found.listed, "what lies there is not what the manifest says"


def test_the_table_has_a_row_for_every_change():
    assert ROWS.keys() == CHANGES.keys()


def test_the_page_shows_this_table():
    page = (ROOT / "docs/staleness.md").read_text("utf-8")
    assert TABLE.strip("\n") in page, "write it anew: tests/workflow/write_staleness.py"
