"""TypeScript, by tsc and Node.js."""

from typing import ClassVar

from aiev.languages.toolchains import base
from aiev.languages.toolchains.js import FROZEN


class Toolchain(base.Toolchain):
    """See `base.Toolchain`."""

    title = "TypeScript"
    fences = ("typescript", "ts")
    packages = ("nodejs", "node-typescript")
    programs = ("tsc", "node")
    source = "main.ts"
    compile = "tsc --target esnext main.ts"
    products = "main.js"
    run = "exec node --require ./frozen.js main.js"
    beside: ClassVar = {"frozen.js": FROZEN}
    mounts = ("/usr/share/nodejs",)
    control = 'const word: string = "ready";\nconsole.log(word);\n'
    prints = 'console.log("\\n{mark}");'
