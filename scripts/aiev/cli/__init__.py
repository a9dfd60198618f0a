"""The command line `aiev`: one module a command, imported at once and light; what is heavy is
imported inside the commands, so that `aiev --help` answers in a third of a second."""
