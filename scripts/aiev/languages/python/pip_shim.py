"""Stands in for pip in the sandbox: writes down what is asked, and does nothing.

This file is copied into the box as the module `pip`; it stands alone. The host installs what was
asked, with network, and then runs the commands again. `list`, `freeze` and `show` tell of the
packages that are installed by then.
"""

import importlib.metadata
import json
import os
import sys

ASKED = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "asked")


def main(arguments=None):
    """Exit status of the command; `pip.main` in a program comes here too."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command in ("install", "uninstall"):
        try:
            arguments = list(expanded(arguments))
        except OSError as error:
            sys.stderr.write(f"ERROR: Could not open requirements file: {error}\n")
            return 1
        with open(ASKED, "a", encoding="utf-8") as file:
            file.write(json.dumps(arguments) + "\n")
    elif command in ("list", "freeze"):
        for name, version in sorted(installed().items()):
            print(f"{name}=={version}" if command == "freeze" else f"{name} {version}")
    elif command == "show":
        known = installed()
        asked = arguments[arguments.index("show") + 1 :]
        found = [name for name in known if name.lower() in map(str.lower, asked)]
        for name in found:
            print(f"Name: {name}\nVersion: {known[name]}")
        return int(not found)
    return 0


def expanded(arguments, folder="", depth=0):
    """The arguments with the lines of requirements files in the place of their names, which are
    relative to `folder`; files that name each other are read to a depth."""
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if word in ("-r", "--requirement"):
            path = next(words, "")
        elif name == "--requirement" and equals:
            path = value
        elif word.startswith("-r") and not word.startswith("--"):
            path = word[2:]
        else:
            yield word
            continue
        if depth < 9:
            path = os.path.join(folder, path)
            yield from expanded(lines_of(path), os.path.dirname(path), depth + 1)


def lines_of(path):
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        text = file.read()
    # A line may go on; options behind a requirement, such as its hash, are pip's own affair.
    for line in text.replace("\\\n", " ").splitlines():
        line = line.partition(" #")[0].strip()
        if line.startswith("-"):
            yield from line.split(None, 1)
        elif line and not line.startswith("#"):
            yield " ".join(line.partition(" --")[0].split())


def installed():
    """Version by name of the packages that are mounted in the box."""
    version = "python{}.{}".format(*sys.version_info)
    folder = os.path.join("/opt/python/lib", version, "site-packages")
    found = importlib.metadata.distributions(path=[folder])
    return {each.metadata["Name"]: each.version for each in found}


if __name__ == "pip":  # programs and the system's own /usr/bin/pip ask for pip's inner modules
    __path__ = []
    for inner in ("_internal", "_internal.cli", "_internal.cli.main"):
        sys.modules[f"pip.{inner}"] = sys.modules[__name__]

if __name__ == "__main__":
    sys.exit(main())
