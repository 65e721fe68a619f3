"""Reads config.yaml, fills in the environment, and turns every mistake into a sentence one can act on."""

import difflib
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from connector.config.document import Document, KeyPath, Value, read_documents, written
from connector.config.environment import Environment
from connector.config.fleet import is_database
from connector.config.interpolate import interpolate, literal_text
from connector.config.settings import Config
from connector.errors import ConfigError

_SECRET_KEYS = frozenset({"token", "client_secret", "refresh_token"})
# Without it nothing can be read, so that it may not be missing; its value is shown nowhere all the same.
_SHOWN_NEVER = frozenset({"store", "store_password", "credential"})
_IN_OAUTH = "oauth"


def load_config(
    path: Path, env: Mapping[str, str] | None = None, *, secrets_may_be_missing: bool = False
) -> Config:
    """The checked configuration. Relative paths in it are taken from the file's own directory.

    env: where ``${NAME}`` is looked up; the process's environment when None. secrets_may_be_missing: for
    commands that only read the store; tokens whose variable is not set are None then.
    Raises ConfigError listing every mistake with its line, its key path and what to write instead.
    """
    document = read_documents(path)
    may_be_missing = _holds_a_secret if secrets_may_be_missing else (lambda _path: False)
    values = interpolate(
        document, Environment(os.environ if env is None else env), may_be_missing=may_be_missing
    )
    if secrets_may_be_missing:
        _drop_unfilled_oauth(values)
    try:
        config = Config.model_validate(values, context={"secrets_may_be_missing": secrets_may_be_missing})
    except ValidationError as error:
        raise _explained(error, document, values) from None
    _note_places(config, document)
    return _apart(_resolved(config, path.absolute().parent), document)


def secrets_in_file(path: Path) -> Iterator[tuple[KeyPath, str]]:
    """Where the file itself holds a secret, or a default for one, instead of the name of a variable: file and line."""
    document = read_documents(path)

    def walk(value: Value, key_path: KeyPath) -> Iterator[KeyPath]:
        for key, item in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            yield from walk(item, (*key_path, key))
        if (
            isinstance(value, str)
            and key_path[-1] in {*_SECRET_KEYS, "store_password"}
            and literal_text(value)
        ):
            yield key_path

    for key_path in walk(document.value, ()):
        yield key_path, document.place_of(key_path)


def _note_places(config: Config, document: Document) -> None:
    for number, company in enumerate(config.companies):
        for index, connection in enumerate(company.connections):
            key = "base_url" if connection.base_url else "environment"
            place = document.place_of(("companies", number, "connections", index, key))
            connection.note_place(f"{place} ({key})")


def _holds_a_secret(key_path: KeyPath) -> bool:
    return bool(key_path) and (key_path[-1] in _SECRET_KEYS or _IN_OAUTH in key_path)


def _drop_unfilled_oauth(values: dict[str, Value]) -> None:
    companies = values.get("companies")
    for company in companies if isinstance(companies, list) else []:
        connections = company.get("connections") if isinstance(company, dict) else None
        for connection in connections if isinstance(connections, list) else []:
            oauth = connection.get(_IN_OAUTH) if isinstance(connection, dict) else None
            if isinstance(connection, dict) and isinstance(oauth, dict) and oauth.get("client_id") is None:
                connection[_IN_OAUTH] = None


def _resolved(config: Config, directory: Path) -> Config:
    changes: dict[str, object] = {}
    if is_database(config.store):
        changes["cache"] = _absolute(str(config.cache or "cache"), directory)
        if config.bucket is not None and "://" not in config.bucket:
            changes["bucket"] = str(_absolute(config.bucket, directory))
    elif not config.store.startswith("ducklake:"):
        changes["store"] = str(_absolute(re.sub(r"^duckdb:(//)?", "", config.store), directory))
    if config.publish_to is not None:
        changes["publish_to"] = _absolute(str(config.publish_to), directory)
    if config.key_file is not None:
        changes["key_file"] = _absolute(str(config.key_file), directory)
    if config.link is not None and config.link.logo is not None:
        logo = _absolute(str(config.link.logo), directory)
        changes["link"] = config.link.model_copy(update={"logo": logo})
    if (textfile := config.metrics.textfile) is not None:
        changes["metrics"] = config.metrics.model_copy(
            update={"textfile": _absolute(str(textfile), directory)}
        )
    return config.model_copy(update=changes)


def _apart(config: Config, document: Document) -> Config:
    """Refuse a place for published copies that nobody could enter, or that would let people into the store."""
    if config.publish_to is not None:
        place, store = config.publish_to.resolve(), config.store_directory.resolve()
        if place.is_relative_to(store) or store.is_relative_to(place):
            raise ConfigError(
                f"{document.place_of(('publish_to',))}: publish_to ({config.publish_to}) and store"
                f" ({store}) must lie apart, so that who may enter the one cannot enter the other.",
                hint="For example store: /var/lib/connector and publish_to: /srv/commerce",
            )
    return config


def _absolute(written_path: str, directory: Path) -> Path:
    return Path(os.path.normpath(directory / Path(written_path).expanduser()))


def _explained(error: ValidationError, document: Document, values: dict[str, Value]) -> ConfigError:
    problems = []
    for detail in error.errors(include_url=False, include_context=True):
        key_path = tuple(key for key in detail["loc"])
        problems.append(f"{document.place_of(key_path)}: {sentence(detail, key_path, values)}")
    if len(problems) == 1:
        message = f"{problems[0]}."
    else:
        told = (problem.removeprefix(f"{document.path}, ") for problem in problems)
        message = f"{document.path} has {len(problems)} mistakes:\n" + "\n".join(f"  {one}." for one in told)
    return ConfigError(
        message, hint="Every setting is explained in config.example.yaml; check again with: connector check"
    )


def sentence(detail: Any, key_path: KeyPath, values: dict[str, Value]) -> str:
    """One mistake in words. The value itself is shown only where it cannot be a secret."""
    name = written(key_path) or "the file"
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{name} is not a setting{_nearest(key_path)}"
    if kind == "missing":
        return f"{name} is missing{_example(key_path)}"
    if kind == "value_error":
        return f"{name}: {context.get('error', detail['msg'])}"
    given = _shown(key_path, values)
    wanted = {
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "bool_parsing": "must be true or false",
        "date_from_datetime_parsing": "must be a date such as 2024-01-31",
        "date_parsing": "must be a date such as 2024-01-31",
        "list_type": "must be a list, each entry beginning with a dash",
        "model_type": "must be a section: indented `key: value` lines",
        "model_attributes_type": "must be a section: indented `key: value` lines",
        "string_type": "must be text",
        "too_short": "needs at least one entry",
        "string_too_short": "must not be empty",
        "string_pattern_mismatch": _PATTERNS.get(
            str(key_path[-1]) if key_path else "", "has characters it may not have"
        ),
        "literal_error": f"must be {context.get('expected', '')}",
        "greater_than": f"must be more than {context.get('gt')}",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "less_than_equal": f"must be at most {context.get('le')}",
    }.get(kind, str(detail["msg"]))
    return f"{name} {wanted}{given}"


_PATTERNS = {
    "id": "must be letters, digits, dots and dashes, at most 64; leave it out and one is made",
    "merchant_id": "must be Clover's merchant id: letters and digits only, such as MHT4QK2Z9WX61",
    "currency": "must be an ISO 4217 code such as USD",
    "publish_group": "must be the name or number of a group of this machine",
}

_EXAMPLES = {
    "store": "store: ./data",
    "companies": "companies: with one entry for each business",
    "name": "name: Juniper Goods",
    "connections": "connections: with one entry for each Clover merchant",
    "merchant_id": "merchant_id: MHT4QK2Z9WX61 (Clover shows it in the dashboard's address)",
    "country": "country: USA",
    "timezone": "timezone: America/New_York (the merchant's own)",
    "start_date": "start_date: 2024-01-01 (nothing older is read)",
    "client_id": "client_id: your app's id",
}


def _example(key_path: KeyPath) -> str:
    example = _EXAMPLES.get(str(key_path[-1])) if key_path else None
    return f"; write {example}" if example else ""


def _shown(key_path: KeyPath, values: dict[str, Value]) -> str:
    if _holds_a_secret(key_path) or (key_path[-1:] and key_path[-1] in _SHOWN_NEVER):
        return ""
    value: Value = values
    for key in key_path:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return ""
    if value is None:
        return ", and is empty"
    return f", not '{value}'" if isinstance(value, str) and len(value) <= 60 else ""


def _nearest(key_path: KeyPath) -> str:
    """The known key a person probably meant: first in the same section, then anywhere else."""
    wrong = str(key_path[-1])
    section = _section_at(key_path[:-1])
    known = list(section.model_fields) if section else []
    if close := difflib.get_close_matches(wrong.lower(), known, n=1, cutoff=0.6):
        return f"; did you mean {close[0]}?"
    everywhere: dict[str, str] = {}
    for name, place in setting_paths():
        everywhere.setdefault(name, place)
    if wrong in everywhere:
        return f" here; it belongs at {everywhere[wrong]}"
    nearest = difflib.get_close_matches(wrong.lower(), known, n=1, cutoff=0.0)
    nearby = f"; the nearest is {nearest[0]}" if nearest else ""
    return f"{nearby} (known here: {', '.join(known)})" if known else nearby


def setting_paths() -> Iterator[tuple[str, str]]:
    """Every setting as (key, where it stands), such as ``("token", "companies[].connections[].token")``."""

    def walk(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
        for name, info in section.model_fields.items():
            yield name, f"{prefix}{name}"
            inner, is_list = _inner_section(info.annotation)
            if inner:
                yield from walk(inner, f"{prefix}{name}[]." if is_list else f"{prefix}{name}.")

    yield from walk(Config, "")


def _section_at(key_path: KeyPath) -> type[BaseModel] | None:
    section: type[BaseModel] | None = Config
    for key in key_path:
        if isinstance(key, int):
            continue
        if section is None or key not in section.model_fields:
            return None
        section, _is_list = _inner_section(section.model_fields[key].annotation)
    return section


def _inner_section(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside ``list[Company]``, ``OAuth | None`` and the like, and whether it is a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    origin = typing.get_origin(annotation)
    is_list = origin is list
    if origin in (list, typing.Union, types.UnionType, typing.Annotated):
        for argument in typing.get_args(annotation):
            inner, nested = _inner_section(argument)
            if inner:
                return inner, is_list or nested
    return None, False
