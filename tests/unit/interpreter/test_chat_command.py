"""`aiev chat` as a user types it, in a pipe, with a scripted model at a URL."""

import subprocess

import pytest
from command import AIEV, ROOT, aiev_here, environment
from conversation import fence


def chat(*words, said="What is 2 to the 99?\n", **more):
    return subprocess.run(
        [*AIEV, "chat", *words],
        input=said,
        cwd=ROOT,
        env=environment(OPENAI_API_KEY="x", **more),
        capture_output=True,
        text=True,
    )


def answers(body):
    """A program first, and words once its result is there."""
    told = any("It" in m["content"] for m in body["messages"] if m["role"] == "assistant")
    return "Done." if told else f"It:\n\n{fence('print(2**99)')}\n"


def test_a_pipe_is_answered_with_the_code_run(scripted):
    scripted.script = answers
    done = chat("--model", scripted.url, "--name", "m", "--once", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "633825300114114700748351602688" in lines and lines[-1] == "Done."
    assert scripted.bodies[-1]["model"] == "m" and "\x1b" not in done.stdout


def test_without_yes_a_pipe_runs_nothing(scripted):
    scripted.script = answers
    done = chat("--model", scripted.url, "--name", "m")
    assert done.returncode == 0 and "not run" in done.stdout and "6338" not in done.stdout
    assert len(scripted.bodies) == 1


@pytest.mark.parametrize(
    ("words", "said", "message"),
    [
        (["--model", "nobody"], "x", "there is no model 'nobody'"),
        (["--model", "tests"], "x", "there is no trained model here"),
        (["--model", "http://127.0.0.1:9/v1"], "x", "no list of models"),
        (["--model", "http://127.0.0.1:9/v1", "--name", "m"], " ", "there is no question"),
    ],
)
def test_a_mistake_is_an_error_in_words(words, said, message):
    done = aiev_here("chat", *words, typed=said, OPENAI_API_KEY="x")
    assert done.returncode == 2 and message in done.stderr and "hint: " in done.stderr
    assert "Traceback" not in done.stderr
