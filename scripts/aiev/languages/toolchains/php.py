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
    # Says which of the usual extensions are loaded: ctype, iconv, tokenizer, ...
    mounts = ("/etc/php",)
    control = '<?php echo ctype_alpha("ready") ? "ready" : ""; ?>\n'
    prints = 'echo "\\n{mark}";'
    end = "?>"
