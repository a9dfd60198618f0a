"""What the docker sandbox's image is made of; an image carries the digest of it as a label."""

import hashlib
import sys
from pathlib import Path

LABEL = "org.autocoder.sandbox"
RECIPE = Path(__file__).parents[4] / "envs" / "sandbox"
PYTHON = "{}.{}".format(*sys.version_info)


def recipe_digest() -> str:
    """Digest of the recipe's files and of the Python that layers of packages are made for."""
    digest = hashlib.sha256(PYTHON.encode())
    for path in sorted(RECIPE.iterdir()):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def has_recipe(image) -> bool:
    """Whether an image of the engine was made of the recipe that is here now."""
    return (image.labels or {}).get(f"{LABEL}.recipe") == recipe_digest()
