"""What the benchmarks share: one JSON line each."""

import json


def report(name: str, value: float, unit: str, peer: str, peer_value: float, ratio: float) -> None:
    line = {"name": name, "value": round(value, 3), "unit": unit, "peer": peer}
    print(json.dumps({**line, "peer_value": round(peer_value, 3), "ratio": round(ratio, 3)}))
