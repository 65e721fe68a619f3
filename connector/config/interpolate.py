"""``${NAME}`` and ``${NAME:-default}`` in the values of config.yaml, taken from the environment.

Values are replaced after the file was parsed, so a secret may contain any character and can never add a key.
``$${`` stands for a literal ``${``. A variable that is set but empty counts as missing, as it does for the
shell's ``${NAME:-default}``; ``${NAME:-}`` says that nothing is fine.
"""

import re
from collections.abc import Callable, Mapping

from connector.config.document import Document, KeyPath, Value, written
from connector.errors import ConfigError

_REFERENCE = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{(?P<bad>[^}]*)\}?"
)


def interpolate(
    document: Document,
    env: Mapping[str, str],
    *,
    may_be_missing: Callable[[KeyPath], bool] = lambda _path: False,
) -> dict[str, Value]:
    """The document's values with the environment filled in.

    may_be_missing: says for a key path that an unset variable there makes the value null instead of an error,
    for commands that need no secret. Raises ConfigError naming the variable, the key path and the line.
    """

    def fill(value: Value, key_path: KeyPath) -> Value:
        if isinstance(value, dict):
            return {key: fill(item, (*key_path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, (*key_path, index)) for index, item in enumerate(value)]
        return None if value is None else fill_text(value, key_path)

    def fill_text(text: str, key_path: KeyPath) -> str | None:
        if "${" not in text:
            return text
        missing = False

        def replace(match: re.Match[str]) -> str:
            nonlocal missing
            if match[0] == "$${":
                return "${"
            name, default = match["name"], match["default"]
            if name is None:
                raise ConfigError(
                    f"{_where(document, key_path)}: {match[0]} is not a variable's name.",
                    hint="Write ${NAME} or ${NAME:-default}; write $${ for the two characters themselves.",
                )
            if value := env.get(name):
                return value
            if default is not None:
                return default
            if may_be_missing(key_path):
                missing = True
                return ""
            state = "is set but empty" if name in env else "is not set"
            raise ConfigError(
                f"{_where(document, key_path)} needs the environment variable {name}, which {state}.",
                hint=f"export {name}=…   (or give a default in the file: ${{{name}:-value}})",
            )

        filled = _REFERENCE.sub(replace, text)
        return None if missing or not filled else filled

    return {key: fill(item, (key,)) for key, item in document.value.items()}


def literal_text(text: str) -> str:
    """What a value holds of its own beside the environment: its text and defaults, without the references."""
    return _REFERENCE.sub(lambda match: match["default"] or "", text).strip()


def _where(document: Document, key_path: KeyPath) -> str:
    return f"{document.place_of(key_path)}: {written(key_path)}"
