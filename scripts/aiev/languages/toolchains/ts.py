"""TypeScript, by tsc and Node.js."""

from aiev.languages.toolchains import base


class Toolchain(base.Toolchain):
    """See `base.Toolchain`."""

    title = "TypeScript"
    fences = ("typescript", "ts")
    packages = ("nodejs", "node-typescript")
    programs = ("tsc", "node")
    source = "main.ts"
    compile = "tsc --target esnext main.ts"
    products = "main.js"
    run = "exec node main.js"
    mounts = ("/usr/share/nodejs",)
    control = 'const word: string = "ready";\nconsole.log(word);\n'
    prints = 'console.log("\\n{mark}");'
