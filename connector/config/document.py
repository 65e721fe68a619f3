"""config.yaml, and the companies of the files in conf.d beside it, as plain text values with where each stands.

YAML's own guesses are left out on purpose: ``country: NO`` would be a boolean, ``platform: off`` too, and a
merchant id of digits a number that has lost its leading zeros. Every plain scalar stays text here and the
models in ``connector.config.settings`` decide what it is. Only an empty value, ``null`` and ``~`` are null.
"""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from connector.errors import ConfigError

Key = str | int
KeyPath = tuple[Key, ...]
Value = None | str | list["Value"] | dict[str, "Value"]

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

# A configuration of a thousand merchants has some 300 kB and 20,000 values. Aliases (*name) can make any number of
# values of a few bytes, so values are counted as often as they are used.
COMPANIES = "companies"
BESIDE = "conf.d"
"""Directory beside config.yaml: each ``*.yaml`` file in it holds ``companies`` and nothing else."""
_MOST_BYTES = 4 << 20
_MOST_VALUES = 100_000
_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file. value: nested dicts, lists and strings. lines: key path -> line, counted from 1.

    files: number of a company that stands in another file -> that file.
    """

    path: Path
    value: dict[str, Value]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    files: dict[int, Path] = field(default_factory=dict)

    def line_of(self, key_path: KeyPath) -> int | None:
        """The line of a key, or of the nearest thing around it that the file does contain."""
        for length in range(len(key_path), -1, -1):
            if (line := self.lines.get(key_path[:length])) is not None:
                return line
        return None

    def place_of(self, key_path: KeyPath) -> str:
        """File and line of a key, for messages."""
        line = self.line_of(key_path)
        return f"{self._file_of(key_path)}, line {line}" if line else str(self.path)

    def _file_of(self, key_path: KeyPath) -> Path:
        number = key_path[1] if len(key_path) > 1 and key_path[0] == COMPANIES else None
        return self.files.get(number, self.path) if isinstance(number, int) else self.path


def written(key_path: KeyPath) -> str:
    """A key path as people write it: ``companies[0].connections[1].token``."""
    text = ""
    for key in key_path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def read_documents(path: Path) -> Document:
    """The file, with the companies of the files in ``conf.d`` beside it, in the order of their names, behind its own.

    Raises ConfigError as ``read_document`` does, and for a file in there that holds anything else.
    """
    document = read_document(path)
    own = document.value.get(COMPANIES)
    together = list(own) if isinstance(own, list) else []
    for file in sorted((path.parent / BESIDE).glob("*.yaml")):
        part = read_document(file)
        found = part.value.get(COMPANIES)
        if not isinstance(found, list) or len(part.value) > 1:
            other = next((key for key in part.value if key != COMPANIES), None)
            raise ConfigError(
                f"{part.place_of((other,)) if other else file}: a file in {BESIDE} holds companies: and nothing else.",
                hint=f"Write {other}: into {path}"
                if other
                else "Write companies: with one entry for each business.",
            )
        first = len(together)
        together += found
        document.files.update({first + number: file for number in range(len(found))})
        for key_path, line in part.lines.items():
            if len(key_path) > 1 and isinstance(number := key_path[1], int):
                document.lines[(COMPANIES, first + number, *key_path[2:])] = line
    if document.files and (own is None or isinstance(own, list)):
        document.value[COMPANIES] = together
    return document


def read_document(path: Path) -> Document:
    """Read and parse the file. Raises ConfigError when it is missing, not YAML or repeats a key."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"There is no configuration at {path}.",
            hint=f"Write one with: connector init --dir {path.parent}   (or name another file with --config)",
        ) from None
    except IsADirectoryError:
        raise ConfigError(
            f"{path} is a directory, not a file.", hint=f"Try --config {path / 'config.yaml'}"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text.", hint="Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", hint="Check the file's owner and mode."
        ) from None
    if len(data) > _MOST_BYTES:
        raise _too_much(path, f"has more than {_MOST_BYTES >> 20} MiB")
    return parse_document(text, path)


def parse_document(text: str, path: Path) -> Document:
    """Parse the text of ``path``. Raises ConfigError naming the line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{path}{place} is not YAML: {error.problem or error.context}.",
            hint="Indent with spaces, put a space after each colon, quote text that contains ': ' or ' #'.",
        ) from None
    except RecursionError:
        raise _too_much(path, f"is nested more than {_DEEPEST} levels deep") from None
    except yaml.YAMLError:
        # The reader's message quotes the byte it stopped at; the file may hold a secret there.
        raise ConfigError(
            f"{path} is not YAML: it contains characters YAML does not allow.", hint="Save it as plain UTF-8."
        ) from None
    if root is None:
        raise ConfigError(
            f"{path} is empty.", hint="Fill it from config.example.yaml, or: connector init --force"
        )
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(
            f"{path} must hold `key: value` lines, and starts with something else.",
            hint="Begin with `store: ./data`; see config.example.yaml.",
        )
    document = Document(path, {}, {(): 1})
    value = _plain(root, (), document, (), [0])
    assert isinstance(value, dict)
    document.value.update(value)
    return document


def _too_much(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{path} {what}, which no configuration needs.",
        hint="Write each value out, without aliases (*name); see config.example.yaml.",
    )


def _plain(
    node: yaml.Node, key_path: KeyPath, document: Document, above: tuple[int, ...], count: list[int]
) -> Value:
    """count: [values made so far]."""
    count[0] += 1
    if count[0] > _MOST_VALUES:
        raise _too_much(document.path, f"comes to more than {_MOST_VALUES:,} values")
    if len(above) > _DEEPEST:
        raise _too_much(document.path, f"is nested more than {_DEEPEST} levels deep")
    if id(node) in above:
        raise ConfigError(
            f"{document.path}, line {node.start_mark.line + 1}: {written(key_path)} contains itself.",
            hint="Remove the alias (the word after *).",
        )
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(node, key_path, document, above, count)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            document.lines[(*key_path, index)] = item.start_mark.line + 1
        return [_plain(item, (*key_path, i), document, above, count) for i, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    text = str(node.value)
    return None if node.style is None and text in _NULLS else text


def _plain_mapping(
    node: yaml.MappingNode,
    key_path: KeyPath,
    document: Document,
    above: tuple[int, ...],
    count: list[int],
) -> dict[str, Value]:
    merged: dict[str, Value] = {}
    own: dict[str, Value] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(
                f"{document.path}, line {line}: a key must be one word.", hint="Quote it or rename it."
            )
        key = str(key_node.value)
        if key == "<<":  # YAML's merge key: defaults that the keys written here override
            inherited = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for source in reversed(inherited):
                value = _plain(source, key_path, document, above, count)
                if isinstance(value, dict):
                    merged.update(value)
            continue
        if key in own:
            raise ConfigError(
                f"{document.path}, line {line}: {written((*key_path, key))} is given twice.",
                hint=f"Keep one of the two; the other is on line {document.lines[(*key_path, key)]}.",
            )
        document.lines[(*key_path, key)] = line
        own[key] = _plain(value_node, (*key_path, key), document, above, count)
    return {**merged, **own}
