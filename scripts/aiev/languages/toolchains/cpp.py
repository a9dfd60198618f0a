"""C++17, by g++."""

from aiev.languages.toolchains import base


class Toolchain(base.Toolchain):
    """See `base.Toolchain`."""

    title = "C++"
    fences = ("cpp", "c++", "c")
    packages = ("g++",)
    programs = ("g++",)
    source = "main.cpp"
    compile = "g++ main.cpp -o main -std=c++17"
    products = "main"
    run = "exec ./main"
    mounts = ("/usr/include",)
    control = '#include <bits/stdc++.h>\nint main() { std::cout << "ready"; }\n'
    prints = 'std::cout << "\\n{mark}" << std::endl;'
    braces = 1
