"""The packages that DS-1000's problems are solved with, by the digest of their wheels.

Versions are of spring 2024, when the benchmark got its present form; pandas 1.5.3 and NumPy 1.26.4
are those that its authors name. PyTorch and TensorFlow are not among them: their wheels take some
gigabytes, for 113 problems.
"""

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aiev.core.errors import UserError

if TYPE_CHECKING:
    from aiev.sandbox.packages.service import Layer

LAYERS = Path(".aiev/layers")
"""Where layers of packages lie; below the directory that a run works in."""
PYTHON = (3, 11)
"""The version that the wheels are for; and x86-64."""
MAX_MIB = 2048
SECONDS = 1800

WHEELS = {
    "contourpy": ("1.2.1", "d4492d82b3bc7fbb7e3610747b159869468079fe149ec5c4d771fa1f614a14df"),
    "cycler": ("0.12.1", "85cef7cff222d8644161529808465972e51340599459b8ac3ccbac5a854e0d30"),
    "fonttools": ("4.51.0", "b2b92381f37b39ba2fc98c3a45a9d6383bfc9916a87d66ccb6553f7bdd129097"),
    "joblib": ("1.4.2", "06d478d5674cbc267e7496a410ee875abd68e4340feff4490bcb7afb88060ae6"),
    "kiwisolver": ("1.4.5", "040c1aebeda72197ef477a906782b5ab0d387642e93bda547336b8957c61022e"),
    "lxml": ("5.2.1", "200e63525948e325d6a13a76ba2911f927ad399ef64f57898cf7c74e69b71095"),
    "matplotlib": ("3.8.4", "cc4ccdc64e3039fc303defd119658148f2349239871db72cd74e2eeaa9b80b71"),
    "numpy": ("1.26.4", "666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5"),
    "packaging": ("24.0", "2ddfb553fdf02fb784c234c7ba6ccc288296ceabec964ad2eae3777778130bc5"),
    "pandas": ("1.5.3", "5f2b952406a1588ad4cad5b3f55f520e82e902388a6d5a4a91baa8d38d23c7f6"),
    "patsy": ("0.5.6", "19056886fd8fa71863fa32f0eb090267f21fb74be00f19f5c70b2e9d76c883c6"),
    "pillow": ("10.3.0", "1b87bd9d81d179bd8ab871603bd80d8645729939f90b71e62914e816a76fc6bd"),
    "pyparsing": ("3.1.2", "f9db75911801ed778fe61bb643079ff86601aca99fcae6345aa67292038fb742"),
    "python-dateutil": (
        "2.9.0.post0",
        "a8b2bc7bffae282281c8140a97d3aa9c14da0b136dfe83f850eea9a5f7470427",
    ),
    "pytz": ("2024.1", "328171f4e3623139da4983451950b28e95ac706e13f3f2630a879749e7a8b319"),
    "pyyaml": ("6.0.1", "d2b04aac4d386b172d5b9692e2d2da8de7bfb6c387fa4f801fbf6fb2e6ba4673"),
    "scikit-learn": ("1.4.2", "44c62f2b124848a28fd695db5bc4da019287abf390bfce602ddc8aa1ec186aae"),
    "scipy": ("1.12.0", "8b8066bce124ee5531d12a74b617d9ac0ea59245246410e19bca549656d9a40a"),
    "seaborn": ("0.13.2", "636f8336facf092165e27924f223d3c62ca560b1f2bb5dff7ab7fad265361987"),
    "six": ("1.16.0", "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"),
    "statsmodels": ("0.14.2", "4864a1c4615c5ea5f2e3b078a75bdedc90dd9da210a37e0738e064b419eccee2"),
    "threadpoolctl": ("3.5.0", "56c1e26c150397e58c4926da8eeee87533b1e32bef131bd4bf6a2f45f3185467"),
}
"""Version and SHA-256 by name."""


def layer(store: Path = LAYERS) -> "Layer":
    """The unpacked packages, made at the first use. store: where layers lie.

    Raises UserError where the wheels do not fit this machine, or cannot be fetched.
    """
    from aiev.sandbox.packages.service import Packages  # slow to import

    if sys.version_info[:2] != PYTHON or platform.machine() != "x86_64":
        wanted, own = (".".join(map(str, each)) for each in (PYTHON, sys.version_info[:2]))
        raise UserError(
            f"DS-1000's packages are pinned for Python {wanted} on x86_64, not for Python {own} on "
            f"{platform.machine()}",
            where="evaluation.benchmarks",
            hint=f"make .venv with Python {wanted}, or leave the benchmark out",
        )
    wanted = [
        {"name": name, "version": version, "sha256": digest}
        for name, (version, digest) in WHEELS.items()
    ]
    return Packages(None, store, max_mib=MAX_MIB, seconds=SECONDS).recorded(wanted)
