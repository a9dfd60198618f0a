"""JavaScript, by Node.js."""

from typing import ClassVar

from aiev.languages.toolchains import base

FROZEN = """
const Module = require('node:module');
for (const each of [require('node:assert'), Module, Module.prototype]) Object.freeze(each);
"""
"""Loaded before a program: it cannot change the assertions that its tests ask for."""


class Toolchain(base.Toolchain):
    """See `base.Toolchain`."""

    title = "JavaScript"
    fences = ("javascript", "js")
    packages = ("nodejs",)
    programs = ("node",)
    source = "main.js"
    run = "exec node --require ./frozen.js main.js"
    beside: ClassVar = {"frozen.js": FROZEN}
    control = 'console.log("ready");\n'
    prints = 'console.log("\\n{mark}");'
