"""The budget: nothing is counted twice, and no limit is passed, however many ask at once."""

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import threading
import time

import pytest
from scripted import CLOSE, HANG, Raw, completion

from aiev.core.errors import BudgetError, EndpointError, UserError
from aiev.llm import client, retries
from aiev.llm.budget import MESSAGE_TOKENS, Budget, max_tokens_of
from aiev.llm.client import ChatClient, open_client
from aiev.llm.costs import Costs, cost_summary, cost_table
from aiev.llm.ledger import LOCKS, Ledger
from aiev.llm.retries import ATTEMPTS, TIMEOUTS

PRICES = {"m": {"prompt_usd_per_million": 10.0, "completion_usd_per_million": 30.0}}
fork = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)


def account(root, usd=None, tokens=None, stage="s") -> Budget:
    return Budget(root, stage, PRICES, {"usd": usd, "tokens": tokens})


def paid(root) -> dict:
    return dict(Costs(root).tally().paid)


def talk(endpoint, ledger, spending, *questions, timeout=5.0, **options) -> list:
    """The answers to the questions, or the errors, asked at once; the chat is left as a main does
    that the first of them ends."""

    async def all_of_them():
        chat = ChatClient(endpoint, ledger, timeout, spending, max_wait=0.05)
        asked = [chat.complete([{"role": "user", "content": q}], **options) for q in questions]
        async with chat:
            return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(all_of_them())


def test_calls_are_summed_by_stage_and_model(tmp_path):
    for stage, model, tokens in [("a", "m", (5, 2)), ("a", "m", (1, 1)), ("b", "n", (7, 7))]:
        spending = account(tmp_path, stage=stage)
        spending.reserve("k", model, (100, 100))
        spending.commit("k", model, tokens)
    assert paid(tmp_path) == {("a", "m"): [2, 6, 3], ("b", "n"): [1, 7, 7]}
    assert cost_table(account(tmp_path)) == [
        ["stage", "model", "calls", "prompt", "completion", "usd"],
        ["a", "m", "2", "6", "3", "0.0001"],
        ["b", "n", "1", "7", "7", "0.0000"],
        ["all", "m", "2", "6", "3", "0.0001"],
        ["all", "n", "1", "7", "7", "0.0000"],
        ["all", "all", "3", "13", "10", "0.0001"],
    ]
    assert (
        cost_summary(account(tmp_path))
        == "answers: 3 asked, 13 + 10 tokens, $0.0001, over all runs"
    )


def test_nothing_was_asked(tmp_path):
    assert (
        cost_summary(account(tmp_path / "none")) == ""
        and cost_table(account(tmp_path))[1][2] == "0"
    )
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("budget", "what"),
    [
        ({"tokens": 149}, "the budget of 149 tokens is reached: 100 tokens paid"),
        ({"usd": 0.0021}, "the budget of $0.0021 is reached: $0.0015 paid"),
    ],
)
def test_the_call_that_would_pass_the_budget_is_not_made(budget, what, tmp_path):
    spending = account(tmp_path, **budget)
    spending.reserve("1", "m", (75, 25))
    spending.commit("1", "m", (75, 25))
    before = spending.path.read_bytes()
    with pytest.raises(BudgetError) as caught:
        spending.reserve("2", "m", (40, 10))
    assert what in caught.value.message and caught.value.exit_code == 4
    assert caught.value.where == f"config: execution.budget.{next(iter(budget))}"
    assert "run the same command" in caught.value.hint
    assert spending.path.read_bytes() == before
    account(tmp_path, usd=0.0022, tokens=150).reserve("2", "m", (40, 10))


def test_a_budget_of_nothing(tmp_path):
    with pytest.raises(BudgetError):
        account(tmp_path, tokens=0).reserve("1", "m", (1, 1))
    account(tmp_path, usd=0).reserve("1", "free", (1, 1))


def test_open_reservations_count_and_released_ones_do_not(tmp_path):
    one, two = account(tmp_path, tokens=10), account(tmp_path, tokens=10)
    assert one.reserve("1", "m", (5, 1))
    assert not two.reserve("2", "m", (5, 1)), "there is room once the other call has ended"
    one.release("1")
    assert two.reserve("2", "m", (5, 1))
    two.commit("2", "m", (2, 1))
    assert one.reserve("1", "m", (5, 1)) and not one.reserve("3", "m", (2, 0))


def test_without_a_limit_nothing_is_reserved(tmp_path):
    spending = account(tmp_path)
    assert spending.reserve("1", "m", (10**9, 10**9))
    spending.release("1")
    assert list(tmp_path.iterdir()) == []
    spending.commit("2", "m", (1, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["spending.jsonl"]


@pytest.mark.parametrize("end", ["killed", "ended"])
def test_reservations_of_a_dead_process_are_released(end, tmp_path):
    """Though nobody asks its questions again: a prompt may have changed."""

    def reserve() -> None:
        account(tmp_path, tokens=10).reserve("its own", "m", (6, 2))
        if end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)

    process = fork.Process(target=reserve)
    process.start()
    process.join(30)
    spending = account(tmp_path, tokens=10)
    assert spending.tally().open
    assert spending.reserve("another", "m", (5, 1))
    assert len(spending.tally().open) == 1 and spending.tally().reserved["m"] == [0, 5, 1]
    names = [f"process-{name}" for name in spending.tally().open]
    assert [path.name for path in (tmp_path / LOCKS).iterdir()] == names
    spending.close()
    assert list((tmp_path / LOCKS).iterdir()) == []


def test_a_process_that_lives_keeps_its_reservations(tmp_path):
    gate = fork.Event(), fork.Event()

    def reserve() -> None:
        spending = account(tmp_path, tokens=10)
        spending.reserve("its own", "m", (6, 2))
        gate[0].set()
        gate[1].wait(30)

    process = fork.Process(target=reserve)
    process.start()
    gate[0].wait(30)
    spending = account(tmp_path, tokens=10)
    assert not spending.reserve("another", "m", (5, 1))
    assert spending.tally().reserved["m"] == [0, 6, 2]
    gate[1].set()
    process.join(30)
    assert spending.reserve("another", "m", (5, 1))


def test_the_cost_of_a_call_does_not_grow_with_the_calls_under_way(tmp_path):
    """Ratios, not seconds: five thousand open calls against one."""

    def seconds_per_call(under_way: int) -> float:
        spending = account(tmp_path / str(under_way), tokens=10**9)
        for number in range(under_way):
            spending.reserve(f"open-{number}", "m", (100, 100))
        times = []
        for number in range(200):
            start = time.perf_counter()
            spending.reserve(f"{number}", "m", (100, 100))
            times.append(time.perf_counter() - start)
            spending.commit(f"{number}", "m", (10, 10))
        return sorted(times)[len(times) // 2]

    assert seconds_per_call(5_000) < 5 * seconds_per_call(1)


def test_lines_of_an_earlier_version_are_read(tmp_path):
    """It noted each call under way, and knew no processes."""
    lines = [
        {"asked": "1", "stage": "s", "model": "m", "tokens": [9, 9]},
        {"paid": "1", "stage": "s", "model": "m", "tokens": [2, 1]},
        {"asked": "2", "stage": "s", "model": "m", "tokens": [9, 9]},
        {"dropped": "2"},
    ]
    (tmp_path / "spending.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert paid(tmp_path) == {("s", "m"): [1, 2, 1]} and not Costs(tmp_path).tally().open


@pytest.mark.parametrize(
    "rest", [b'{"paid": "1", "sta', b"{}", b"[1]", b"null", b"\xff", b"[" * 9999]
)
def test_a_line_that_was_cut_off_is_passed_over(rest, tmp_path):
    spending = account(tmp_path)
    spending.commit("1", "m", (1, 1))
    with open(spending.path, "ab") as file:
        file.write(rest)
    spending.commit("2", "m", (1, 1))
    account(tmp_path).commit("3", "m", (1, 1))
    assert paid(tmp_path) == {("s", "m"): [3, 3, 3]} == dict(spending.tally().paid)


def test_an_account_that_was_deleted_begins_anew(tmp_path):
    spending = account(tmp_path)
    for key in "123":
        spending.commit(key, "m", (1, 1))
    spending.path.unlink()
    spending.commit("4", "m", (1, 1))
    assert paid(tmp_path) == {("s", "m"): [1, 1, 1]} == dict(spending.tally().paid)


def test_no_place_to_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot note what a call costs"):
        account(tmp_path / "file").commit("1", "m", (1, 1))


def spend(root, name: str, limit: int) -> None:
    """Ask until the budget ends it; each call may take 9 tokens, and takes 6."""
    spending = account(root, tokens=limit)
    for number in range(1000):
        key = f"{name}-{number}"
        try:
            while not spending.reserve(key, "m", (6, 3)):
                time.sleep(0.001)
        except BudgetError:
            return
        spending.commit(key, "m", (4, 2))


def test_eight_processes_of_two_threads_share_one_budget(tmp_path):
    def both(number: int) -> None:
        names = [f"{number}-{thread}" for thread in range(2)]
        threads = [threading.Thread(target=spend, args=(tmp_path, n, 1500)) for n in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    writers = [fork.Process(target=both, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 8
    (calls, prompt, completion) = paid(tmp_path)["s", "m"]
    # The last calls under way may keep the others from the rest.
    assert 1500 - 16 * 9 < prompt + completion <= 1500 and calls * 6 == prompt + completion


def test_no_prompt_takes_more_tokens_than_was_thought():
    messages = [{"content": "é" * 10}, {"content": ""}]
    assert max_tokens_of(messages, 7) == (20 + 3 * MESSAGE_TOKENS, 7)


def test_what_is_recalled_costs_nothing(scripted, endpoint_of, tmp_path):
    scripted.script = lambda body: "Good day"
    for stage in ("first", "second"):
        spending = Budget(tmp_path, stage)
        talk(endpoint_of(scripted), Ledger(tmp_path), spending, "a", "b", "a")
    assert paid(tmp_path) == {("first", "scripted"): [2, 14, 6]}
    assert len(scripted.bodies) == 2


def test_a_damaged_entry_is_paid_for_again(scripted, endpoint_of, tmp_path):
    scripted.script = lambda body: "Good day"
    for _ in range(2):
        talk(endpoint_of(scripted), Ledger(tmp_path), Budget(tmp_path, "s"), "a")
        (entry,) = tmp_path.rglob("*.json")
        entry.write_bytes(entry.read_bytes()[:-4])
    assert paid(tmp_path) == {("s", "scripted"): [2, 14, 6]}


def test_a_server_that_does_not_count_is_counted_for(scripted, endpoint_of, tmp_path):
    scripted.script = lambda body: Raw(json.dumps(completion("Good day", usage=None)).encode())
    talk(endpoint_of(scripted), Ledger(tmp_path), Budget(tmp_path), "12345", max_tokens=4)
    assert paid(tmp_path) == {("", "scripted"): [1, 5 + 2 * MESSAGE_TOKENS, 4]}


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_calls_that_ended_in_an_http_error_are_not_paid(status, scripted, endpoint_of, tmp_path):
    scripted.script = lambda body: status
    (error,) = talk(endpoint_of(scripted), Ledger(tmp_path), Budget(tmp_path), "a")
    assert isinstance(error, EndpointError)
    tally = Costs(tmp_path).tally()
    assert not tally.paid and not tally.open


def test_a_refused_connection_is_not_paid(endpoint_of, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        (error,) = talk(endpoint_of(address), Ledger(tmp_path), Budget(tmp_path), "a")
    assert isinstance(error, EndpointError)
    tally = Costs(tmp_path).tally()
    assert not tally.paid and not tally.open


MOST = max_tokens_of([{"content": "a"}], 5)
"""Of the question "a" with `max_tokens=5`."""

PROBE = max_tokens_of(client.PROBE, client.PROBE_TOKENS)

LOST = [
    (HANG, TIMEOUTS, 1),
    (CLOSE, ATTEMPTS, 2),
    (Raw(b"<html>Welcome</html>", "text/html"), ATTEMPTS, 2),
]
"""What a server does with a request that it got, how often it is sent again, and how often the
server is then asked a short question."""


def lose(endpoint, root, **budget) -> list:
    return talk(endpoint, Ledger(root), account(root, **budget), "a", timeout=0.5, max_tokens=5)


@pytest.mark.parametrize(("loss", "attempts", "probes"), LOST, ids=["timeout", "broken", "other"])
def test_calls_that_were_sent_and_lost_count_in_full(
    loss, attempts, probes, scripted, endpoint_of, tmp_path
):
    """The vendor may have billed each of them; and a run that is started again asks them again."""
    scripted.script = lambda body: loss
    for runs in (1, 2):
        (error,) = lose(endpoint_of(scripted), tmp_path)
        assert isinstance(error, EndpointError)
        assert len(scripted.bodies) == runs * (attempts + probes)
        tally = Costs(tmp_path).tally()
        tokens = [runs * (attempts * a + probes * b) for a, b in zip(MOST, PROBE, strict=True)]
        assert tally.paid == {("s", "scripted"): [len(scripted.bodies), *tokens]}
        assert not tally.open


@pytest.mark.parametrize("loss", [HANG, CLOSE], ids=["timeout", "broken"])
def test_an_answer_after_a_loss_counts_both(loss, scripted, endpoint_of, tmp_path):
    replies = [500, loss]
    scripted.script = lambda body: replies.pop() if replies else "Good day"
    (answer,) = lose(endpoint_of(scripted), tmp_path)
    assert answer.text == "Good day" and len(scripted.bodies) == 3
    tally = Costs(tmp_path).tally()
    assert tally.paid == {("s", "scripted"): [2, MOST[0] + 7, MOST[1] + 3]} and not tally.open


def test_lost_calls_do_not_pass_the_budget(scripted, endpoint_of, tmp_path):
    """There is room for three of the five attempts: the fourth is not sent."""
    scripted.script = lambda body: CLOSE
    (error,) = lose(endpoint_of(scripted), tmp_path, tokens=4 * sum(MOST) - 1)
    assert isinstance(error, BudgetError) and len(scripted.bodies) == 3
    tally = Costs(tmp_path).tally()
    assert tally.paid == {("s", "scripted"): [3, *(3 * n for n in MOST)]} and not tally.open


def test_a_budget_stops_the_questions_and_keeps_the_answers(scripted, endpoint_of, tmp_path):
    """Calls under way when another one meets the budget are waited for: they are paid."""
    scripted.delay = 0.3
    scripted.script = lambda body: "Good day"
    most = sum(max_tokens_of([{"content": "a"}], 5))

    async def all_of_them():
        spending = account(tmp_path, tokens=3 * most)
        chat = ChatClient(endpoint_of(scripted), Ledger(tmp_path), 5.0, spending)
        async with chat, asyncio.TaskGroup() as group:
            for question in ("a", "b", "c", "too long" * most):
                message = [{"role": "user", "content": question}]
                group.create_task(chat.complete(message, max_tokens=5))

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(all_of_them())
    assert [type(error) for error in caught.value.exceptions] == [BudgetError]
    assert len(scripted.bodies) == 3 == len(list(tmp_path.rglob("*.json")))
    tally = Costs(tmp_path).tally()
    assert tally.paid == {("s", "scripted"): [3, 21, 9]} and not tally.open


def test_calls_under_way_are_waited_for_where_they_leave_room(scripted, endpoint_of, tmp_path):
    """A call takes far less than it could: what it leaves is there for others, to the end."""
    scripted.script = lambda body: "Good day"
    most = sum(max_tokens_of([{"content": "a"}], 5))
    spending = account(tmp_path, tokens=most + 25)
    chatting = talk(endpoint_of(scripted), Ledger(tmp_path), spending, *"abcde", max_tokens=5)
    kinds = sorted(type(answer).__name__ for answer in chatting)
    assert kinds == ["Answer", "Answer", "Answer", "BudgetError", "BudgetError"]
    assert scripted.most_busy == 1 and len(scripted.bodies) == 3


def test_after_a_mistake_nothing_new_is_asked(scripted, endpoint_of, tmp_path):
    """gather() lets the others go on: the chat does not."""
    scripted.delay = 0.2
    scripted.script = lambda body: 404 if body["messages"][0]["content"] == "a" else "Good day"

    async def all_of_them():
        async with ChatClient(endpoint_of(scripted, slots=2), Ledger(tmp_path), 5.0) as chat:
            messages = [[{"role": "user", "content": question}] for question in "abcdefghi"]
            await asyncio.gather(*map(chat.complete, messages))

    with pytest.raises(EndpointError):
        asyncio.run(all_of_them())
    assert len(scripted.bodies) <= 5


STEPS = [
    (cls, name, when)
    for cls, name in ((Budget, "reserve"), (Ledger, "add"), (Budget, "commit"))
    for when in ("before", "after")
]


def killed_at(cls, name: str, when: str, work) -> None:
    """Call `work` in a process that is killed before or after its third call of `cls.name`."""
    true, calls = getattr(cls, name), []

    def step(*arguments):
        calls.append(arguments)
        if len(calls) == 3 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = true(*arguments)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def run() -> None:
        setattr(cls, name, step)
        work()

    process = fork.Process(target=run)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("limit", [None, 10**6])
@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[2]} {step[1]}")
def test_killed_anywhere_and_resumed_nothing_is_lost_or_left_open(
    step, at_once, limit, scripted, endpoint_of, tmp_path
):
    """At most the calls under way when it was killed are billed and not counted, or asked twice."""
    scripted.script = lambda body: "Good day"

    def run(stage="s") -> None:
        budget = account(tmp_path, tokens=limit, stage=stage)
        talk(endpoint_of(scripted, slots=at_once), Ledger(tmp_path), budget, *"abcde")

    killed_at(*step, run)
    resumed = [fork.Process(target=run) for _ in range(2)]
    for process in resumed:
        process.start()
    for process in resumed:
        process.join(30)
    run("later")
    billed = len(scripted.bodies)
    ((stage, (calls, prompt, completion)),) = paid(tmp_path).items()
    assert stage == ("s", "scripted") and (prompt, completion) == (7 * calls, 3 * calls)
    assert 5 <= calls <= billed <= 5 + at_once and billed - calls <= at_once
    assert len(list(tmp_path.rglob("*.json"))) == 5
    # What a killed process had reserved is released as soon as it is in the way.
    spending = account(tmp_path, tokens=10 * calls + 1)
    assert spending.reserve("one more", "scripted", (1, 0))
    assert len(spending.tally().open) == 1 and spending.tally().reserved["scripted"] == [0, 1, 0]


def test_a_replay_writes_nothing(scripted, endpoint_of, tmp_path):
    scripted.script = lambda body: "Good day"
    talk(endpoint_of(scripted), Ledger(tmp_path), None, "a")
    (entry,) = tmp_path.rglob("*.json")
    spending = account(tmp_path)
    spending.commit(entry.stem, "m", (5, 5))
    before = spending.path.read_bytes()
    talk(endpoint_of(scripted), Ledger(tmp_path, "replay"), spending, "a")
    assert spending.path.read_bytes() == before


def test_an_interruption_is_not_kept_waiting(scripted, endpoint_of, tmp_path):
    scripted.delay = 3
    scripted.script = lambda body: "Good day"

    async def one():
        async with ChatClient(
            endpoint_of(scripted), Ledger(tmp_path), 5.0, account(tmp_path)
        ) as chat:
            await chat.complete([{"role": "user", "content": "a"}])

    async def interrupted():
        task = asyncio.create_task(one())
        await asyncio.sleep(0.5)
        task.cancel()
        await task

    start = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interrupted())
    assert time.monotonic() - start < 2
    tally = Costs(tmp_path).tally()
    assert not tally.open and tally.paid["s", "scripted"][0] == 1, "it may have been billed"


def test_two_processes_that_ask_the_same_pay_once(scripted, endpoint_of, tmp_path):
    scripted.delay = 0.3
    scripted.script = lambda body: "Good day"

    def ask() -> None:
        execution = {"ledger": {"path": str(tmp_path), "mode": "record"}, "prices": {}}
        execution["budget"] = {"usd": None, "tokens": None}

        async def one():
            async with open_client(endpoint_of(scripted), execution, "s", 5.0) as chat:
                answer = await chat.complete([{"role": "user", "content": "a"}])
                assert answer.text == "Good day"

        asyncio.run(one())

    askers = [fork.Process(target=ask) for _ in range(6)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(30)
    assert [asker.exitcode for asker in askers] == [0] * 6
    assert len(scripted.bodies) == 1 and paid(tmp_path) == {("s", "scripted"): [1, 7, 3]}
    assert not list((tmp_path / LOCKS).iterdir())


def test_a_lock_of_a_killed_process_is_free(tmp_path):
    def hold() -> None:
        async def forever():
            async with Ledger(tmp_path).lock("k"):
                os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(forever())

    holder = fork.Process(target=hold)
    holder.start()
    holder.join(30)
    assert holder.exitcode == -signal.SIGKILL and (tmp_path / LOCKS / "k").exists()

    async def after():
        async with asyncio.timeout(5), Ledger(tmp_path).lock("k"):
            pass

    asyncio.run(after())
    assert not (tmp_path / LOCKS / "k").exists()
