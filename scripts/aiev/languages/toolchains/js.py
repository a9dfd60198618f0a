"""JavaScript, by Node.js."""

from aiev.languages.toolchains import base


class Toolchain(base.Toolchain):
    """See `base.Toolchain`."""

    title = "JavaScript"
    fences = ("javascript", "js")
    packages = ("nodejs",)
    programs = ("node",)
    source = "main.js"
    run = "exec node main.js"
    control = 'console.log("ready");\n'
    prints = 'console.log("\\n{mark}");'
