"""Java, by OpenJDK, with the library of tuples that MultiPL-E's problems use."""

from aiev.languages.toolchains import base

JAR = "/usr/share/java/javatuples.jar"
SMALL = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Xmx1024m"
"""Options for a short program; the class archive that the package brings saves half the start."""


class Toolchain(base.Toolchain):
    """See `base.Toolchain`."""

    title = "Java"
    fences = ("java",)
    packages = ("default-jdk-headless", "libjavatuples-java")
    programs = ("javac", "java")
    source = "Problem.java"
    compile = (
        f"javac -J-XX:+UseSerialGC -J-XX:TieredStopAtLevel=1 -encoding UTF8 -cp {JAR} -d out "
        "Problem.java"
    )
    products = "out"
    run = f"exec java {SMALL} -ea -cp out:{JAR} Problem"
    mounts = (JAR, "/etc/java-17-openjdk")
    control = (
        "import org.javatuples.*;\nclass Problem { public static void main(String[] a) { "
        'System.out.println(Pair.with("ready", 1).getValue0()); } }\n'
    )
    prints = 'System.out.println("\\n{mark}");'
    braces = 2
