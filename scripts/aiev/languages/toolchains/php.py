"""PHP, by its command line."""

from aiev.languages.toolchains import base


class Toolchain(base.Toolchain):
    """See `base.Toolchain`."""

    title = "PHP"
    fences = ("php",)
    packages = ("php-cli",)
    programs = ("php",)
    source = "main.php"
    run = "exec php main.php"
    control = '<?php echo "ready"; ?>\n'
    prints = 'echo "\\n{mark}";'
    end = "?>"
