"""Languages of the programs that dialogues run: a package each, whose module `language` defines the
class `Language`. The modules beside them serve all languages."""

from aiev.core.registry import Registry

LANGUAGES = Registry("language", "aiev.languages", "Language", module="language")
