"""The split of a round, and the gathering of rounds."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.core.errors import UserError
from aiev.core.types import Dialogue
from aiev.rounds.splits import gather, place, recorded, split_round


def dialogue(name, verdict="verified", reason=""):
    return {"id": name, "verdict": verdict, "reason": reason, "stage": "teaching"}


def names(dialogues):
    return [d["id"] for d in dialogues]


IDS = [f"0-{number:04x}" for number in range(2000)]
ids = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40, unique=True)


def split(found, share=0.1, salt="split", **options):
    return split_round(found, test_share=share, salt=salt, **options)


def is_test(name, share, salt):
    return place(name, salt) < Fraction(str(share))


def test_one_in_ten_is_a_test_problem():
    made = split([dialogue(name) for name in IDS])
    assert 150 <= len(made.test) <= 250
    assert sorted(names(made.test) + names(made.train)) == IDS


def test_only_verified_dialogues_stay_and_the_others_are_counted():
    rejected = [("a", "vacuous"), ("b", "failed"), ("c", "failed")]
    found = [dialogue(name, "rejected", reason) for name, reason in rejected]
    found[0]["evidence"] = {"answers": {"asked": 5, "resampled": 2}}
    found[1]["evidence"] = {"answers": {"asked": 1, "refused": 1}}
    made = split([*found, *(dialogue(name) for name in IDS[:30])])
    assert not {"a", "b", "c"} & set(names(made.train + made.test))
    assert made.report == {
        "dialogues": 33,
        "verified": 30,
        "rejected": {"failed": 2, "vacuous": 1},
        "stage": "teaching",
        "answers": {"asked": 6, "refused": 1, "resampled": 2},
        "train": len(made.train),
        "test": len(made.test),
    }


@given(ids, st.randoms(use_true_random=False))
def test_order_and_neighbours_decide_nothing(chosen, random):
    shuffled = random.sample(chosen, len(chosen))
    for part in (shuffled, shuffled[: len(shuffled) // 2 + 1]):
        train = [name for name in sorted(part) if not is_test(name, 0.1, "s")]
        train = train or [max(part, key=lambda name: place(name, "s"))]
        made = split([dialogue(name) for name in part], salt="s")
        assert names(made.train) == train
        assert set(names(made.test)) == set(part) - set(train)


@given(ids, st.integers(0, 9), st.sampled_from([0, 0.1, 0.5, 0.99]))
def test_a_small_round_has_test_problems_and_something_to_train_on(chosen, least, share):
    made = split([dialogue(name) for name in chosen], share, minimum_test=least)
    assert made.train
    assert len(made.test) >= min(least, len(chosen) - 1)
    below = [name for name in chosen if is_test(name, share, "split")]
    if least <= len(below) < len(chosen):
        assert set(names(made.test)) == set(below)
    last = max((place(name, "split") for name in names(made.test)), default=-1)
    assert all(last <= place(name, "split") for name in names(made.train))


def test_the_split_does_not_move_between_versions():
    found = [name for name in IDS[:40] if is_test(name, 0.1, "split")]
    assert found == ["0-0006", "0-000b", "0-000e", "0-0011", "0-001c"]


def test_the_salt_makes_another_split_and_a_larger_share_only_adds():
    first, second = (names(split([dialogue(n) for n in IDS], salt=s).test) for s in "ab")
    assert first != second
    for low, high in itertools.pairwise([0, 0.05, 0.1, 0.5, 0.9]):
        small = {n for n in IDS if is_test(n, low, "a")}
        assert small <= {n for n in IDS if is_test(n, high, "a")}
    assert not any(is_test(n, 0, "a") for n in IDS)


def test_a_repeated_id_is_refused_whatever_its_verdict():
    with pytest.raises(UserError, match="1 duplicate dialogue ids: x"):
        split([dialogue("x"), dialogue("y"), dialogue("x", "rejected", "failed")])


def test_a_round_without_verified_dialogues_names_the_reasons():
    found = [dialogue(n, "rejected", r) for n, r in [("a", "vacuous"), ("b", "no-code")]]
    with pytest.raises(UserError, match=r"2 were rejected: {'no-code': 1, 'vacuous': 1}"):
        split(found)
    with pytest.raises(UserError, match="0 were rejected"):
        split([])


def by_student(verified, rejected):
    found = [dialogue(f"1-{n}") for n in range(verified)]
    found += [dialogue(f"1-x{n}", "rejected", "no-code") for n in range(rejected)]
    return [{**d, "stage": "self-learning", "model": "student-x@1"} for d in found]


def test_a_self_learning_round_under_its_floor_stops_the_run():
    with pytest.raises(UserError, match="1 of 20 dialogues by student-x@1 are verified") as caught:
        split_round(by_student(1, 19), 0.0, "s", minimum_yield=0.1)
    assert "rounds.minimum_yield" in str(caught.value) and "'no-code': 19" in str(caught.value)
    assert split_round(by_student(2, 18), 0.0, "s", minimum_yield=0.1).report["verified"] == 2
    taught = [{**d, "stage": "teaching"} for d in by_student(1, 19)]
    assert split_round(taught, 0.0, "s", minimum_yield=0.1).report["verified"] == 1


@pytest.mark.parametrize(("floor", "verified"), [(0.07, 7), (0.14, 14)])
def test_just_the_floor_is_enough(floor, verified):
    found = by_student(verified, 100 - verified)
    assert split_round(found, 0.0, "s", minimum_yield=floor).report["verified"] == verified
    with pytest.raises(UserError, match=r"fell below rounds\.minimum_yield"):
        split_round(by_student(verified - 1, 101 - verified), 0.0, "s", minimum_yield=floor)


def test_a_self_learning_round_without_a_verified_dialogue_is_under_any_floor():
    with pytest.raises(UserError, match="no dialogue of the round is verified"):
        split_round(by_student(0, 5), 0.0, "s")


def test_no_test_problem_is_no_mistake():
    made = split_round([dialogue("a"), dialogue("b")], 0.0, "s")
    assert made.test == [] and made.report["test"] == 0


def test_the_only_verified_dialogue_is_for_training():
    made = split([dialogue(IDS[6])], minimum_test=3)
    assert names(made.train) == [IDS[6]] and is_test(IDS[6], 0.1, "split")


def test_rounds_are_gathered_in_order_sorted_within():
    rounds = [[dialogue("2-b"), dialogue("2-a")], [], [dialogue("1-a")]]
    assert names(gather(rounds)) == ["2-a", "2-b", "1-a"]
    with pytest.raises(UserError, match="1 duplicate dialogue ids: 1-a"):
        gather([[dialogue("1-a")], [dialogue("1-a")]])


SEEDS = [{"id": "s1"}, {"id": "s2"}]


def on_record(name, **changes):
    blank = dict.fromkeys(Dialogue.__annotations__, "")
    return {**blank, "id": f"0-{name}", "seed": {"id": name}, "round": 0, **changes}


def test_recorded_dialogues_are_those_of_the_seeds_in_their_order():
    found = recorded(SEEDS, [on_record("s2"), on_record("s3"), on_record("s1")], "file")
    assert names(found) == ["0-s1", "0-s2"]


@pytest.mark.parametrize(
    ("dialogues", "problem", "where"),
    [
        ([on_record("s1")], "no recorded dialogue of 1 seeds: s2", "file"),
        ([on_record("s1"), on_record("s2", round=1)], "is of round 1", "file, line 2"),
        ([{"id": "0-s1"}], "lacks entry_point, executions", "file, line 1"),
        ([on_record("s1", seed="s1")], "`seed` that is text, not an object", "file, line 1"),
        ([on_record("s1", seed=["s1"])], "`seed` that is a list, not an object", "file, line 1"),
        ([on_record("s1", seed=None)], "`seed` that is null, not an object", "file, line 1"),
        ([on_record("s1", seed={"id": 3})], "`seed` without a text `id`", "file, line 1"),
        (["0-s1"], "is text and not an object", "file, line 1"),
    ],
)
def test_what_is_no_record_of_the_seeds_is_refused(dialogues, problem, where):
    with pytest.raises(UserError, match=problem) as caught:
        recorded(SEEDS, dialogues, "file")
    assert caught.value.where == where
