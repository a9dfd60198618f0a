"""Print the shipped run configs, one path a line: the files of config/ that describe a run."""

from pathlib import Path

NO_RUNS = {"schema.yaml", "resources.yaml"}

if __name__ == "__main__":
    for path in sorted(Path("config").glob("*.yaml")):
        if path.name not in NO_RUNS:
            print(path.as_posix())
