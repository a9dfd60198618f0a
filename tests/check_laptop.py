"""What the laptop run promises of its dialogues, checked after a real run by .ci/run.

At least 35% of the seeds end in a verified dialogue (8 to 10 of 22 in the runs so far), and one of
these at least took a round of feedback. A server of several slots is not reproducible to the bit: a
run that luck leaves a little under it is told, and one under a quarter fails. Standard library
only; run it in the directory of the run.
"""

import json
import sys
from pathlib import Path

RESULTS = Path("results/laptop")
PROMISED, LEAST = 0.35, 0.25


def main() -> None:
    stages = json.loads((RESULTS / "funnel.json").read_text("utf-8"))["stages"]
    kept = {stage["stage"]: stage["kept"] for stage in stages}
    seeds, verified = kept["sampled seeds"], kept["verified"]
    mended = sum(map(took_feedback, dialogues()))
    print(f"{verified} of {seeds} seeds verified, {mended} of them after feedback")
    if verified < LEAST * seeds:
        sys.exit(f"{RESULTS}/funnel.json: less than {LEAST:.0%} of the seeds are verified")
    if verified < PROMISED * seeds:
        print(f"luck, or a defect: {PROMISED:.0%} are promised")
    if not mended:
        sys.exit(f"{RESULTS}/rounds/0/dialogues: no verified dialogue had a round of feedback")


def dialogues():
    for path in sorted((RESULTS / "rounds/0/dialogues").glob("*.jsonl")):
        # Not splitlines(): U+2028 and its like are legal inside a JSON string.
        yield from (json.loads(line) for line in path.read_text("utf-8").split("\n") if line)


def took_feedback(dialogue) -> bool:
    """Whether it is verified, and an error had to be put into words and mended on the way."""
    kinds = {message["kind"] for message in dialogue["messages"]}
    return dialogue["verdict"] == "verified" and "revision" in kinds


if __name__ == "__main__":
    main()
