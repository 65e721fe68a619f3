"""Where ``${NAME}`` in config.yaml comes from: the environment, or a file that keeps the secret out of it.

    NAME                          the variable itself
    NAME_FILE                     the path of a file that holds the value (Docker and Kubernetes secrets)
    $CREDENTIALS_DIRECTORY/NAME   a credential that systemd hands to the service (systemd.io, Credentials)

The first that is there counts. A file's last line break does not belong to the value.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from connector.errors import ConfigError

_LARGEST = 64 * 1024


class Environment(Mapping[str, str]):
    """The variables as config.yaml sees them. Raises ConfigError when a named file cannot be read."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        if self._variables.get(name):
            return self._variables[name]
        if named := self._variables.get(f"{name}_FILE"):
            return _contents(Path(named), f"{name}_FILE")
        if directory := self._variables.get("CREDENTIALS_DIRECTORY"):
            path = Path(directory) / name
            if path.is_file():
                return _contents(path, "CREDENTIALS_DIRECTORY")
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def referenced(credential: str, variables: Mapping[str, str] = os.environ) -> str:
    """The secret that ``env:NAME`` or ``file:/path`` leads to. Raises ConfigError when there is none."""
    kind, _, name = credential.partition(":")
    if kind == "file":
        return _contents(Path(name), "The credential")
    try:
        return Environment(variables)[name]
    except KeyError:
        raise ConfigError(
            f"The credential {credential} needs the environment variable {name}, which is not set.",
            hint=f"export {name}=…   (or name a file that holds it: {name}_FILE)",
        ) from None


def _contents(path: Path, variable: str) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(
            f"{variable} leads to {path}, which cannot be read: {reason}.",
            hint="Check the path, and that the user who runs the connector may read the file.",
        ) from None
    if len(text) > _LARGEST:
        raise ConfigError(
            f"{variable} leads to {path}, which is too long for a secret.", hint="Check the path."
        )
    return text.removesuffix("\n").removesuffix("\r")
