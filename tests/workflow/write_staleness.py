"""Writes docs/staleness.md: the staleness matrix, and what stock Snakemake does in the same rows.

    .venv/bin/python tests/workflow/write_staleness.py

The first table is the one that test_staleness.py checks; the second is measured here, which takes
a quarter of an hour on two cores.
"""

import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from matrix import BACK, RULES, Row, Seen, finished, line_of, prepared, run_row, script  # noqa: E402
from project import Project  # noqa: E402
from scripted import scripted_endpoint  # noqa: E402
from test_staleness import ROWS, TABLE  # noqa: E402

DOCS = ROOT / "docs/staleness.md"
COUNTED = [name for name in RULES if name != "man"]
"""The manifest is left out of the count: it is written whenever anything was started."""

OURS_ALONE = "... and the action store lost"
"""A row that asks what happens without our store is none for stock Snakemake."""

STOCK_CODE = """def code(script, modules):
    import hashlib
    return hashlib.sha256((SCRIPTS / f"{script}.py").read_bytes()).hexdigest()


"""


def make_stock(project: Project) -> None:
    """Take our layer out of a project: what is left is what a careful user of Snakemake has."""
    rules = project.root / "rules/common.smk"
    replaced(rules, r"^    guard_directory\(.*?only_look=LOOKS\)\n", "")
    replaced(rules, r"^def code\(script, modules\):\n.*?\n\n\n", STOCK_CODE)
    replaced(rules, r", made_by=of_json\(made_by\)", "")
    replaced(rules, r"^    with clear_errors\(\):\n        if work.*?write_record\(begun\)\n", "")
    # Stock counts what a command says: there, a script has its place in the checkout.
    replaced(rules, r"str\(SCRIPTS / f\"{script}\.py\"\)\]", 'f"scripts/{script}.py"]')
    # Some rows lose our store; there is none, and nothing of it can be lost.
    (project.root / ".aiev/actions").mkdir(parents=True)
    replaced(project.root / "profiles/default/config.yaml", r"^rerun-triggers.*?\n", "")
    replaced(project.root / "profiles/default/config.yaml", r"^max-checksum.*?\n", "")
    for path in (project.root / "scripts").glob("*.py"):
        text = path.read_text("utf-8")
        if "stored=False" not in text:
            unstored = re.sub(r"run_job\(\s*main", r"\g<0>, stored=False", text)
            path.write_text(unstored, "utf-8")


def replaced(path: Path, pattern: str, by: str) -> None:
    """Replace the one place in a file that the pattern finds."""
    text, count = re.subn(pattern, lambda _: by, path.read_text("utf-8"), flags=re.M | re.S)
    assert count == 1, (path, pattern)
    path.write_text(text, "utf-8")


def measure(rows: list[str], folder: Path) -> dict[str, Seen]:
    """What stock Snakemake does in each row."""
    with scripted_endpoint(script) as endpoint, ThreadPoolExecutor(2) as pool:
        base = prepared(folder / "base", endpoint.url, folder / "mirror")
        make_stock(base)
        finished(base)

        def one(name: str) -> Seen:
            seen = run_row(name, base, folder / f"row-{rows.index(name)}", endpoint)
            print(line_of(name, seen.ran, seen.asked), flush=True)
            return seen

        return dict(zip(rows, pool.map(one, rows), strict=True))


def wrong(row: Row, seen: Seen) -> dict[str, str]:
    """Cells that stock Snakemake gets wrong: "missed" where something stale stays, "needless" where
    only jobs run that need not."""
    found = {}
    for name in COUNTED:
        must, ran = row.cells.get(name, ""), seen.ran.get(name, "")
        if must == BACK:
            # Without a store, running is the way to get it back.
            must = ran or BACK
        if set(must) - set(ran):
            found[name] = "missed"
        elif set(ran) - set(must):
            found[name] = "needless"
    return found


def page(seen: dict[str, Seen]) -> str:
    """The whole of docs/staleness.md."""
    judged = {name: wrong(ROWS[name], one) for name, one in seen.items()}
    kinds = [kind for cells in judged.values() for kind in cells.values()]
    cells = len(seen) * len(COUNTED)
    lines = [TABLE.strip("\n").split("\n")[0].removesuffix(" =")]
    for name, one in seen.items():
        shown = {n: one.ran.get(n, ".") + MARK[judged[name].get(n, "")] for n in RULES}
        lines.append(line_of(name, shown, one.asked) + ("" if one.code == 0 else " stops"))
    asked = sum(max(0, one.asked - ROWS[name].asked) for name, one in seen.items())
    return PAGE.format(
        rules="\n".join(f"| `{short}` | `{rule}` |" for short, rule in RULES.items()),
        ours=TABLE.strip("\n"),
        stock="\n".join(lines),
        rows=len(seen),
        cells=cells,
        wrong=len(kinds),
        missed=kinds.count("missed"),
        needless=kinds.count("needless"),
        bad_rows=sum(any(kind == "missed" for kind in j.values()) for j in judged.values()),
        asked=asked,
    )


MARK = {"": "", "missed": "!", "needless": "+"}

PAGE = """# What makes what run again

Generated by `tests/workflow/write_staleness.py`; do not edit.

Each row changes one thing in a finished run and then starts the same command again, for real: a
scripted teacher, a student of 15 kB that DeepSpeed trains, the real sandbox, EvalPlus. The first
table is checked by `tests/workflow/test_staleness.py`, cell by cell, together with the number of
questions that reach a model; there, a stand-in takes DeepSpeed's place.

| column | rule |
| --- | --- |
{rules}

| cell | meaning |
| --- | --- |
| `.` | must not run: nothing is started, or what the job would make is in the action store |
| `x` | must run |
| `0` `1` `01` | must run for these shards or rounds, and for no others |
| `b` `s` `t` | must run for these models: base, student, teacher |
| `r` | has to be there again: it comes back from the action store, and nothing runs |
| `ask` | questions that reach a model |
| `=` `~` | all artifacts have the bytes that they had, or some may differ |

- A row with few marks is early cutoff at work: a job ran, made the same bytes, and everything below
  took its outputs from the store. Where the store was lost as well, every job below has to run.
- The appended seed's dialogue falls to the part that is held out for testing: nothing is trained.
- The templates of the chosen prompt set count as one, so that an edit of one runs all that the
  recipe writes; other sets do not count. What was answered is on record: it costs only the
  questions that changed.
- What runs jobs and reports on them (the engine, logs, locks, errors) is part of no job's code. The
  constant `ENGINE` in scripts/aiev/engine/codehash.py stands for it: it is raised by hand when the
  meaning of an action's key or of a stored entry changes.
- The manifest is written and not stored; it runs whenever anything was started.

## This project

```
{ours}
```

## Stock Snakemake

The same rules without our layer: no action store, Snakemake's own rerun triggers, and, as with
`script:`, a rule's script counts by its bytes. The ledger is there, so that what was answered is
not asked again by the jobs that run. `!` marks a cell where something stale stays, `+` one where
jobs run that need not; where something has to come back (`r` above), running is right. "stops" is a
run that ended with an error.

```
{stock}
```

Of {cells} cells ({rows} rows, the manifest's column left out) stock Snakemake gets {wrong} wrong:
in {missed} it keeps a result that is stale ({bad_rows} of the {rows} rows have such a cell), in
{needless} it runs jobs that need not run. Models are asked {asked} questions more than needed.
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="staleness-") as folder:
        seen = measure(sys.argv[1:] or [n for n in ROWS if n != OURS_ALONE], Path(folder))
    if sys.argv[1:]:
        print(page(seen))
    else:
        DOCS.parent.mkdir(exist_ok=True)
        DOCS.write_text(page(seen), "utf-8")


if __name__ == "__main__":
    main()
