"""Rust, by rustc without optimisation, so that an overflow is a panic."""

from aiev.languages.toolchains import base


class Toolchain(base.Toolchain):
    """See `base.Toolchain`."""

    title = "Rust"
    fences = ("rust", "rs")
    packages = ("rustc",)
    programs = ("rustc",)
    source = "main.rs"
    compile = "/usr/bin/rustc main.rs -o main"
    products = "main"
    run = "exec ./main"
    control = 'fn main() { println!("ready"); }\n'
    prints = 'println!("\\n{mark}");'
    braces = 1
