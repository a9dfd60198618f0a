"""Config keys of the sandbox."""

from typing import Literal

from pydantic import Field

from aiev.core.settings import Section

ALLOWED = [
    "aiohttp", "altair", "anyio", "arrow", "attrs", "beautifulsoup4", "biopython", "bitarray",
    "cachetools", "click", "colorama", "cryptography", "cycler", "faker", "flask", "freezegun",
    "httpx", "hypothesis", "inflect", "jinja2", "joblib", "jsonschema", "lxml", "markdown",
    "matplotlib", "more-itertools", "mpmath", "networkx", "nltk", "numba", "numpy",
    "opencv-python-headless", "openpyxl", "orjson", "packaging", "pandas", "pillow", "pip",
    "polars", "psutil", "pydantic", "pygments", "pyparsing", "pytest", "python-dateutil", "pytz",
    "pyyaml", "rapidfuzz", "regex", "requests", "rich", "scikit-image", "scikit-learn", "scipy",
    "seaborn", "setuptools", "shapely", "simpy", "sortedcontainers", "sqlalchemy", "statsmodels",
    "sympy", "tabulate", "toolz", "tqdm", "typing-extensions", "unidecode", "urllib3", "wheel",
    "xxhash",
]  # fmt: skip


class LimitSettings(Section):
    """`sandbox.limits`: what one run in the sandbox may use."""

    wall_seconds: float = Field(10, gt=0, description="Wall time, in seconds.")
    cpu_seconds: int = Field(10, ge=1, description="CPU time of each process, in seconds.")
    memory_mib: int = Field(1024, ge=64, description="Memory of all processes together, in MiB.")
    processes: int = Field(64, ge=4, description="Number of processes and threads.")
    open_files: int = Field(256, ge=16, description="Number of open files of each process.")
    file_mib: int = Field(64, ge=1, description="Size of a file, in MiB.")
    disk_mib: int = Field(256, ge=1, description="Size of the working directory, in MiB.")
    output_kib: int = Field(64, ge=1, description="Size of stdout, and of stderr, in KiB.")


class PackageSettings(Section):
    """`sandbox.packages`: what a dialogue's program may have installed, as wheels only."""

    allow: list[str] = Field(
        ALLOWED,
        description="Packages that a program may ask for; their dependencies come with them. "
        "[] for none.",
    )
    deny: list[str] = Field(
        [], description="Packages that are never installed, not even as a dependency."
    )
    max_mib: int = Field(
        1024, ge=1, description="Maximum size of all packages of a program, unpacked, in MiB."
    )
    seconds: int = Field(300, ge=1, description="Maximum duration of one installation, in seconds.")


class DockerSettings(Section):
    """`sandbox.docker`: the docker backend. Its engine is the one that DOCKER_HOST names."""

    image: str = Field(
        "autocoder-sandbox",
        description="Name of the image; `make sandbox-image` builds autocoder-sandbox.",
    )
    runtime: str = Field(
        "", description='Runtime of the engine, such as runsc (gVisor); "" for its default.'
    )


class SandboxSettings(Section):
    """`sandbox`: where model-written code runs."""

    backend: Literal["bubblewrap", "docker"] = Field(
        "bubblewrap", description="What isolates the code: bubblewrap or docker."
    )
    limits: LimitSettings = Field(
        LimitSettings(), description="Limits of one run of a dialogue's program."
    )
    docker: DockerSettings = Field(
        DockerSettings(), description="The docker backend. DOCKER_HOST names its engine."
    )
    packages: PackageSettings = Field(
        PackageSettings(), description="Packages that a dialogue's program may install."
    )


class Containers(Section):
    """`execution.containers`: the pool of the docker backend. It decides no result."""

    count: int = Field(
        0, ge=0, description="Maximum number of running containers; 0 for one per core."
    )
    runs: int = Field(
        200,
        ge=1,
        description="Runs after which a container is replaced; 1 for a new one each time.",
    )
