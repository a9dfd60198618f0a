"""The same request leaves the same record on both backends, run after run.

A record is what a dialogue keeps and a model reads: exit code, outcome, stdout, stderr. One that
depended on where a program ran could not be made again elsewhere.
"""

from functools import cache

import pytest
from corpus import CORPUS, VARIED

from aiev.sandbox.api import SITE_PACKAGES, Limits, Request

ALL = [*CORPUS, *VARIED]


def each(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@pytest.fixture(scope="session")
def once(numpy_layer):
    """Run a case; its record."""

    def run(sandbox, case):
        result = sandbox.run(request_of(case, numpy_layer))
        return result.exit_code, result.outcome, result.stdout, result.stderr

    return run


@pytest.fixture(scope="session")
def record_of(once):
    """The record of a case on a backend; each is run once."""

    @cache
    def run(sandbox, number):
        return once(sandbox, ALL[number])

    return lambda sandbox, case: run(sandbox, ALL.index(case))


def request_of(case, layer):
    more = dict(case.more)
    limits = Limits(
        **{name: more.pop(name) for name in Limits.__dataclass_fields__ if name in more}
    )
    files = {"main.py": case.program, **more.pop("files", {})}
    mounts = {SITE_PACKAGES: layer} if case.layer else {}
    command = more.pop("command", ("python", "main.py"))
    return Request(files, command, limits, mounts=mounts, **more)


@each(ALL)
def test_it_ends_as_it_should(sandbox, record_of, case):
    assert record_of(sandbox, case)[1] == case.outcome, record_of(sandbox, case)


@pytest.mark.real
@each(CORPUS)
def test_the_backends_agree(bubblewrap, docker, record_of, case):
    assert record_of(bubblewrap, case) == record_of(docker, case)


@each(ALL)
def test_a_second_run_agrees(sandbox, record_of, once, case):
    """So that the flaky check, which compares two runs, blames the program alone."""
    assert record_of(sandbox, case) == once(sandbox, case)


def test_the_cases_are_told_apart():
    names = [case.name for case in ALL]
    assert len(names) == len(set(names)) >= 60
