"""Grammars of answers that are read mechanically, in llama.cpp's GBNF.

A server that samples under a grammar cannot answer in another form; of any other server the same
form is only asked, checked, and asked again. They bind the form alone: that the function has the
same name everywhere, and that the examples are literals, is checked for every server. Lines are
short, as a small model may fill an endless one with a single digit.
"""

PROBLEM = r"""root ::= task example example example
task ::= "Write a function `" call "` that " [^\n]+ "\n"
call ::= [a-z] [a-z0-9_]* "(" [^\n`()]* ")"
example ::= "`" [a-z] [a-z0-9_]* "(" [^\n`]{0,80} ")` returns `" [^\n`]{1,80} "`\n"
"""
"""A task in one line, and three examples with one line each."""


def tests(name: str) -> str:
    """Six asserts of the function, in a fenced block."""
    return f"""root ::= "```python\\n" test test test test test test "```"
test ::= "assert {name}(" [^\\n]{{0,80}} ") == " [^\\n]{{1,80}} "\\n"
"""
