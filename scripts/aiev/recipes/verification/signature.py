"""The parameters that a problem states for its function, and whether a call fits them."""

import ast
import re
from inspect import Parameter, Signature

MAX_PARAMETERS = 400
"""Characters between the brackets of a signature."""


def stated(problem: str, name: str) -> Signature | None:
    """The parameters of the function, as the problem writes them first; None where no text of it
    reads as a signature. `name()` is one only where no other text of it is: it may just be a way to
    name a function. Defaults are all None here."""
    found = None
    for match in re.finditer(rf"(?:def\s+|`){re.escape(name)}\s*\(", problem):
        parameters = _parameters_at(problem, match.end())
        if parameters is not None and (signature := _signature(parameters)) is not None:
            if signature.parameters:
                return signature
            found = found or signature
    return found


def fits(call: ast.Call, signature: Signature) -> bool:
    """Whether a call gives each parameter one argument. It has no `*` and no `**`."""
    keywords = {str(keyword.arg): None for keyword in call.keywords}
    try:
        signature.bind(*call.args, **keywords)
    except TypeError:
        return False
    return True


def _parameters_at(text: str, start: int) -> ast.arguments | None:
    for match in re.finditer(r"\)", text[start : start + MAX_PARAMETERS]):
        try:
            (node,) = ast.parse(f"def f({text[start : start + match.start()]}): pass").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return node.args if isinstance(node, ast.FunctionDef) else None
    return None


def _signature(parameters: ast.arguments) -> Signature | None:
    first = [(arg, Parameter.POSITIONAL_ONLY) for arg in parameters.posonlyargs]
    first += [(arg, Parameter.POSITIONAL_OR_KEYWORD) for arg in parameters.args]
    required = len(first) - len(parameters.defaults)
    found = [
        Parameter(arg.arg, kind, default=Parameter.empty if n < required else None)
        for n, (arg, kind) in enumerate(first)
    ]
    if parameters.vararg:
        found.append(Parameter(parameters.vararg.arg, Parameter.VAR_POSITIONAL))
    for arg, default in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True):
        given = None if default else Parameter.empty
        found.append(Parameter(arg.arg, Parameter.KEYWORD_ONLY, default=given))
    if parameters.kwarg:
        found.append(Parameter(parameters.kwarg.arg, Parameter.VAR_KEYWORD))
    try:
        return Signature(found)
    except ValueError:  # two parameters of one name
        return None
