"""Stands in for aiev/training/supervisor.py where only the making of files is tested.

Real training takes twenty seconds, most of it for DeepSpeed to start. The checkpoint made here is
the untrained one with bytes that follow from the data and the parameters. The run that gets killed
and that a stranger makes again, and tests/real, train for real.
"""

import hashlib
import json
import shutil


def train(
    student, data, deepspeed, model, scratch, params, log_path=None, test=None, checkpoint_steps=0
):
    rows = data.read_text("utf-8").splitlines()
    assert rows and json.loads(deepspeed.read_text("utf-8"))
    shutil.copytree(student, model, dirs_exist_ok=True)
    decided = hashlib.sha256(data.read_bytes() + json.dumps(params, sort_keys=True).encode())
    weights = model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-8:] = decided.digest()[:8]
    weights.write_bytes(content)
    counts = {"dialogues": len(rows), "examples": len(rows), "dropped": {}, "steps": 1}
    counts["tokens"] = 100 * len(rows)
    return {**counts, "losses": [int(decided.hexdigest()[:6], 16)]}
