"""A student whose checkpoint lies in a directory, as a hub has it."""

import shutil

import pytest
from matrix import prepared
from project import DIALOGUES
from scripted import scripted_endpoint
from small_models import base_tokenizer, write_model
from tiny import answers

from aiev.core.files import read_json
from aiev.dataset.tokens import TOKENS
from aiev.training.checkpoints import INDEX

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose student is made from its GGUF file, and lies in models/tiny as well."""
    root = tmp_path_factory.mktemp("students")
    with scripted_endpoint(answers) as endpoint:
        project = prepared(root / "project", endpoint.url, root / "mirror")
        code, said = project.run("resources/students/tiny", seconds=900)
        assert code == 0, said
        shutil.copytree(project.root / "resources/students/tiny", project.root / "models/tiny")
        yield project


def test_a_student_in_a_directory(project):
    own = project.root / "own.jinja"
    own.write_text("{% for m in messages %}{{ m.role + m.content }}<|im_end|>\n{% endfor %}")
    student = {"name": "there", "resource": "", "checkpoint": "models/tiny"}
    project.config["models"]["student"] |= {**student, "chat_template": "own.jinja"}
    target = project.root / "resources/students/there"
    code, said = project.run("resources/students/there", seconds=900)
    assert code == 0, said
    assert (target / "chat_template.jinja").read_text() == own.read_text()
    assert read_json(target / "config.json")["eos_token_id"] is not None
    # Both the template and a file of the checkpoint are inputs.
    own.write_text(own.read_text().replace("m.role", "m['role']"))
    code, said = project.run("resources/students/there", seconds=900)
    assert code == 0 and "m['role']" in (target / "chat_template.jinja").read_text(), said
    weights = next((project.root / "models/tiny").glob("*.safetensors"))
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1])
    code, said = project.run("resources/students/there", seconds=900)
    assert code == 2 and "its header describes" in said
    weights.write_bytes(kept)


TRAINED = "results/tiny/rounds/0/student"


@pytest.mark.parametrize(
    ("kind", "tied", "processes"),
    [("llama", False, 1), pytest.param("qwen2", True, 2, marks=pytest.mark.nightly)],
)
def test_a_base_model_in_shards_is_trained_from_seeds_on(kind, tied, processes, project):
    """By DeepSpeed, on real dialogues; another student leaves the first one's data as they are."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    own = base_tokenizer(tags=False)
    source = write_model(project.root / "models" / kind, kind, tied, shards=True, tokenizer=own)
    assert (source / INDEX).is_file()
    student = {"name": kind, "resource": "", "checkpoint": f"models/{kind}"}
    project.config["models"]["student"] |= {**student, "chat_template": "chatml"}
    project.config["training"] |= {"accelerators": processes, "learning_rate": 1e-2}
    first = not (project.root / DIALOGUES).exists()
    code, said = project.run(f"{TRAINED}.sha256", seconds=1200)
    assert code == 0, said
    assert "prepare_student" in said and ("write_dialogues" in said) == first
    report = read_json(project.root / f"{TRAINED}/../training.json")
    assert report["examples"] == report["dialogues"] > 1 and not report["dropped"]
    assert report["added_tokens"] == len(TOKENS)

    before = AutoModelForCausalLM.from_pretrained(source)
    after = AutoModelForCausalLM.from_pretrained(project.root / TRAINED)
    tokenizer = AutoTokenizer.from_pretrained(project.root / TRAINED)
    assert after.config.model_type == kind and after.dtype == before.dtype
    assert after.config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    inner, outer = after.get_input_embeddings().weight, after.get_output_embeddings().weight
    assert (inner is outer) == tied
    ids = tokenizer.convert_tokens_to_ids(list(TOKENS))
    assert len({tuple(row) for row in inner[ids].tolist()}) == len(TOKENS)
    weights = before.state_dict()
    changed = [name for name in weights if "layers" in name]
    learnt = [n for n in changed if not after.state_dict()[n].equal(weights[n])]
    assert len(learnt) > len(changed) / 2, "its layers were trained"
