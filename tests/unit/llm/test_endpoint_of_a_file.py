"""An endpoint kind from one file outside: chosen by its path, checked, hashed and asked."""

import asyncio
from pathlib import Path

from aiev.config.load import check_config
from aiev.core.files import SCRIPTS
from aiev.engine.codehash import code_parts
from aiev.llm.client import open_client
from aiev.llm.endpoints import KINDS, gpus_of, needs_weights, serve, with_server

RELAY = '''
from contextlib import contextmanager

from pydantic import Field

from aiev.core.settings import Section
from aiev.llm.endpoints.base import Endpoint


class Kind:
    """Asks one of a vendor's regions."""

    class Config(Section):
        region: str = Field(description="Where it is.")

    needs_weights = False

    def gpus(self, config):
        return 0

    @contextmanager
    def open(self, config, weights, scratch, log, conversations=0):
        name = f"{config['region']}/{config['name']}"
        yield Endpoint("relay", name, config["version"], config["base_url"], config["slots"])
'''


def test_a_kind_of_one_file_is_chosen_by_the_config_and_asked(scripted, tmp_path):
    path = tmp_path / "relay.py"
    path.write_text(RELAY)
    teacher = {"kind": str(path), "name": "m", "version": "1", "region": "north"}
    ledger = {"path": str(tmp_path / "ledger"), "mode": "record"}
    server = {"teacher": {"base_url": scripted.url}}
    config = {"models": {"teacher": teacher}, "execution": {"ledger": ledger, "models": server}}
    check_config(config, SCRIPTS.parent / "config")
    model = with_server({**config["models"]["teacher"], "role": "teacher"}, config["execution"])
    assert not needs_weights(model) and gpus_of(model) == 0

    scripted.script = lambda body: f"from {body['model']}"
    with serve(model, None, tmp_path, None) as endpoint:
        chat = open_client(endpoint, config["execution"], "test", model["timeout_seconds"])

        async def ask():
            async with chat:
                asked = [{"role": "user", "content": "Go."}]
                return await chat.complete(asked, temperature=0.0, top_p=1.0, max_tokens=9, seed=1)

        assert asyncio.run(ask()).text == "from north/m"
    assert len(list((tmp_path / "ledger").glob("*/*.json"))) == 1

    parts = code_parts(SCRIPTS / "write_dialogues.py", [KINDS.source(str(path))])
    assert any(Path(part.partition(": ")[0]).name == "relay.py" for part in parts)
    assert "aiev/llm/endpoints/openai.py" not in {part.partition(": ")[0] for part in parts}
