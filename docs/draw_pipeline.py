"""Draws docs/pipeline.svg, the picture in the README: `python docs/draw_pipeline.py`.

All text stands on light cards, so that it can be read on a light and on a dark page.
"""

from html import escape
from pathlib import Path

INK, GREY, LINE = "#1f2328", "#57606a", "#8c959f"
PLAIN, MODEL, BOX, TRAIN = "#f6f8fa", "#ddf4ff", "#fff1e5", "#dafbe1"
EDGES = {PLAIN: "#afb8c1", MODEL: "#54aeff", BOX: "#fb8f44", TRAIN: "#4ac26b"}
WIDTH, HEIGHT = 1000, 588

parts: list[str] = []


def text(x: float, y: float, words: str, size: int = 12, **style: str) -> None:
    """One line, centred on `x` unless the style says otherwise."""
    style = {"text-anchor": "middle", "fill": INK, **{k.replace("_", "-"): style[k] for k in style}}
    attributes = " ".join(f'{name}="{value}"' for name, value in style.items())
    parts.append(f'<text x="{x}" y="{y}" font-size="{size}" {attributes}>{escape(words)}</text>')


def card(x: float, y: float, w: float, h: float, title: str, lines=(), file="", fill=PLAIN) -> None:
    """A box with a title, some lines, and the file that it writes."""
    parts.append(
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8" fill="{fill}" '
        f'stroke="{EDGES[fill]}" stroke-width="1.5"/>'
    )
    text(x + w / 2, y + 21, title, 14, font_weight="600")
    for number, line in enumerate(lines):
        text(x + w / 2, y + 41 + 16 * number, line, 12, fill=GREY)
    if file:
        text(x + w / 2, y + h - 10, file, 11, font_family="ui-monospace, Menlo, monospace")


def arrow(*points: tuple[float, float]) -> None:
    path = " L ".join(f"{x} {y}" for x, y in points)
    parts.append(
        f'<path d="M {path}" fill="none" stroke="{LINE}" stroke-width="2" marker-end="url(#head)"/>'
    )


def panel(x: float, y: float, w: float, h: float, title: str) -> None:
    parts.append(
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="12" fill="#ffffff" stroke="#d0d7de"/>'
    )
    text(x + 16, y + 24, title, 13, text_anchor="start", fill=GREY, font_weight="600")


def draw() -> str:
    panel(8, 8, 984, 304, "In each round (2,000 dialogues in the paper)")
    card(
        24,
        96,
        132,
        118,
        "Seeds",
        ["functions of open", "source, each with", "its licence"],
        "seeds/*.jsonl",
    )
    parts.append(
        '<rect x="184" y="48" width="344" height="214" rx="8" fill="#ffffff" stroke="#afb8c1" '
        'stroke-width="1.5" stroke-dasharray="5 4"/>'
    )
    text(356, 69, "Dialogue: one model, two roles", 14, font_weight="600")
    card(198, 84, 122, 50, "Questioner", ["states the problem"], fill=MODEL)
    card(392, 84, 122, 50, "Programmer", ["solution, tests"], fill=MODEL)
    card(295, 176, 122, 50, "Sandbox", ["runs the program"], fill=BOX)
    arrow((320, 109), (390, 109))
    arrow((453, 134), (453, 201), (419, 201))
    arrow((295, 201), (259, 201), (259, 136))
    text(356, 160, "the error, up to 7 times", 11, fill=GREY)
    text(356, 252, "rounds/N/dialogues/*.jsonl", 11, font_family="ui-monospace, Menlo, monospace")
    arrow((156, 155), (182, 155))
    card(
        556,
        62,
        136,
        122,
        "Split",
        ["what the policy calls", "verified, by a hash of", "the id, 9 to 1"],
        "train, test.jsonl",
    )
    arrow((528, 123), (554, 123))
    card(716, 48, 126, 70, "Train", ["on all so far"], "student/", TRAIN)
    card(716, 144, 126, 90, "Duel", ["hidden tests of", "held-out tasks"], "duel.json", MODEL)
    arrow((692, 84), (714, 84))
    arrow((692, 172), (714, 172))
    arrow((779, 118), (779, 142))
    card(870, 144, 108, 90, "Gate", ["is the student", "ahead?"], "gate.json")
    arrow((842, 189), (868, 189))
    arrow((924, 234), (924, 284), (356, 284), (356, 264))
    text(640, 304, "no: the teacher writes the next round; yes: the student does", 12, fill=GREY)

    panel(8, 324, 984, 146, "After the last round")
    steps = [
        ("Decontaminate", ["drop what is near", "a benchmark task"], "decontaminated.jsonl", PLAIN),
        ("Tag", ["four tokens around", "code to run, results"], "tagged.jsonl", PLAIN),
        ("Train", ["DeepSpeed, loss on", "the assistant only"], "model/", TRAIN),
        ("Sample", ["base, student and", "teacher, greedy"], "samples.jsonl", MODEL),
        ("Score", ["EvalPlus, in the", "sandbox"], "score.json", BOX),
        ("Summarise", ["pass@1, intervals,", "every loss counted"], "scores.md", PLAIN),
    ]
    for number, (title, lines, file, fill) in enumerate(steps):
        x = 24 + 161 * number
        card(x, 360, 144, 94, title, lines, file, fill)
        if number:
            arrow((x - 17, 407), (x - 2, 407))

    panel(8, 482, 984, 98, "Under all of it")
    below = [
        ("Ledger", "every answer: none is paid for twice"),
        ("Action store", "finished jobs: only what is stale runs"),
        ("Manifest", "digest and origin of every artifact"),
    ]
    for number, (title, line) in enumerate(below):
        card(24 + 322 * number, 514, 308, 52, title, [line])
    legend = [("asks a model", MODEL), ("runs untrusted code", BOX), ("trains weights", TRAIN)]
    for number, (words, fill) in enumerate(legend):
        x = 516 + 164 * number - 16 * (number == 1)
        parts.append(
            f'<rect x="{x}" y="22" width="14" height="14" rx="3" fill="{fill}" '
            f'stroke="{EDGES[fill]}"/>'
        )
        text(x + 20, 34, words, 12, text_anchor="start", fill=GREY)
    head = (
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M 0 0 L 10 5 L 0 10 z" fill="{LINE}"/>'
        "</marker></defs>"
    )
    title = "From seeds through rounds of dialogues to a trained and scored model"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{title}" font-family="-apple-system, Segoe UI, Helvetica, Arial, '
            'sans-serif">',
            f"<title>{title}</title>",
            head,
            *parts,
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    Path(__file__).with_name("pipeline.svg").write_text(draw(), "utf-8")
