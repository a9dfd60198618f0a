"""Runs main.py in the box with what earlier programs of the conversation defined.

This file is copied into the box, where the language's `interpreter.py` is; it stands alone. Values
are pickled, and unpickled in the next box alone. Imports, functions and classes are kept as source
and executed anew; what can be neither, such as an open file, does not stay.
"""

import ast
import contextlib
import io
import os
import pickle
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
KEPT = os.path.join(HERE, "variables")
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
MODULES = types.ModuleType | types.FunctionType | type


def main():
    sys.path[0] = os.path.dirname(HERE)
    sys.argv = ["main.py"]
    import interpreter

    module = sys.modules["__main__"] = types.ModuleType("__main__")
    definitions = restore(module)
    try:
        code = interpreter.run("main.py", module)
    finally:
        keep(module, definitions)
    sys.exit(code)


def restore(module):
    """Give the module what was kept; the definitions, each as (names, source)."""
    try:
        with open(KEPT, "rb") as file:
            definitions, values = pickle.load(file)
    except Exception:  # there are none yet, or a program wrote something else there
        return []
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        # A default argument may need a value, and a value its class.
        failed = [source for _, source in definitions if not execute(source, module)]
        with contextlib.suppress(Exception):
            module.__dict__.update(pickle.loads(values))
        for source in failed:
            execute(source, module)
    return definitions


def execute(source, module):
    try:
        exec(compile(source, "<earlier>", "exec"), module.__dict__)
    except Exception:
        return False
    return True


def keep(module, definitions):
    """Write what the module has for the next program; what was there before stays on an error."""
    definitions = [*definitions, *definitions_of("main.py")]
    latest = dict(definitions)
    defined = {n: s for n, s in latest.items() if all(name in module.__dict__ for name in n)}
    values = {
        name: value
        for name, value in module.__dict__.items()
        if not name.startswith("__") and not isinstance(value, MODULES)
    }
    with contextlib.suppress(Exception):
        content = pickle.dumps((list(defined.items()), pickled(values)))
        with open(f"{KEPT}.new", "wb") as file:
            file.write(content)
        os.replace(f"{KEPT}.new", KEPT)


def definitions_of(path):
    """The imports, functions and classes at a program's top level, each as (names, source)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            body = ast.parse(file.read()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in body:
        if isinstance(node, DEFINITIONS):
            found.append(((node.name,), ast.unparse(node)))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                one = type(node)(**{**vars(node), "names": [alias]})
                if name != "*" and getattr(node, "module", "") != "__future__":
                    found.append(((name,), ast.unparse(one)))
    return found


def pickled(values):
    """The values that can be pickled, together, so that two names of one object stay that."""
    try:
        return pickle.dumps(values)
    except Exception:
        return pickle.dumps({name: value for name, value in values.items() if can_be(value)})


def can_be(value):
    try:
        pickle.dumps(value)
    except Exception:
        return False
    return True


if __name__ == "__main__":
    main()
