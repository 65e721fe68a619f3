"""Companies in a CSV or JSON file, one connection a row, with the settings of config.yaml as columns."""

import csv
import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from connector.config.load import sentence
from connector.config.settings import Company, Connection
from connector.errors import ConfigError

M = TypeVar("M", bound=BaseModel)

# Column -> the setting of the company; all others are settings of the connection.
_OF_COMPANY = {"name": "name", "company_id": "id", "fiscal_year_start": "fiscal_year_start"}
_OF_CONNECTION = {
    "connection_id": "id",
    **{name: name for name in Connection.model_fields if name not in ("id", "source", "token", "oauth")},
}
COLUMNS = (*_OF_COMPANY, *_OF_CONNECTION)
_MOST_TOLD = 20


def read_companies_file(path: Path) -> list[Company]:
    """The companies of a file, checked as config.yaml is. Rows of one ``company_id`` are one company.

    Raises ConfigError with every mistake, the first twenty in words, each with its line.
    """
    mistakes: list[str] = []
    found: dict[str, Company] = {}
    seen: dict[str, int] = {}
    for line, row in _rows(path):
        try:
            company = checked_company(row)
        except ConfigError as error:
            mistakes.append(f"line {line}: {error.message}")
            continue
        (connection,) = company.connections
        if connection.id in seen:
            mistakes.append(
                f"line {line}: connection {connection.id} stands on line {seen[connection.id]} already"
            )
        seen.setdefault(connection.id, line)
        other = found.get(company.id)
        if other is not None and other.name != company.name:
            mistakes.append(
                f"line {line}: company {company.id} is named {other.name} above and {company.name} here"
            )
        together = [*(other.connections if other else ()), connection]
        found[company.id] = company.model_copy(update={"connections": together})
    if mistakes:
        told = "\n".join(f"  {one.rstrip('.')}." for one in mistakes[:_MOST_TOLD])
        more = f"\n  and {len(mistakes) - _MOST_TOLD} more." if len(mistakes) > _MOST_TOLD else ""
        raise ConfigError(
            f"{path}: nothing was kept, since {len(mistakes)} row(s) are wrong:\n{told}{more}",
            hint=f"Columns: {', '.join(COLUMNS)}",
        )
    return list(found.values())


def checked_company(row: Mapping[str, str | None]) -> Company:
    """One company with one connection, from columns. Raises ConfigError that says what to write instead."""
    given = {column: value.strip() for column, value in row.items() if value is not None and value.strip()}
    for column in row:
        if column in ("token", "client_secret", "refresh_token"):
            raise ConfigError(
                f"{column} is a secret; write a column credential with env:NAME or file:/path instead"
            )
        if column not in COLUMNS:
            close = difflib.get_close_matches(column.lower(), COLUMNS, n=1, cutoff=0.0)
            raise ConfigError(f"{column} is not a column; did you mean {close[0]}?")
    if "credential" not in given:
        raise ConfigError(
            "credential is missing; write env:NAME, file:/path, or kept for a merchant who connects through a link"
        )
    connection = _checked(Connection, given, _OF_CONNECTION, {})
    return _checked(Company, given, _OF_COMPANY, {"connections": [connection]})


def _checked(
    model: type[M], given: Mapping[str, str], columns: Mapping[str, str], more: Mapping[str, object]
) -> M:
    values = {setting: given[column] for column, setting in columns.items() if column in given}
    try:
        return model.model_validate({**values, **more})
    except ValidationError as error:
        names = {setting: column for column, setting in columns.items()}
        said = (
            (sentence(one, one["loc"], dict(values)), str(one["loc"][-1]) if one["loc"] else "")
            for one in error.errors(include_url=False, include_context=True)
        )
        told = (text.replace(setting, names.get(setting, setting), 1) for text, setting in said)
        raise ConfigError("; ".join(told)) from None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Line or, in JSON, number of the entry; columns as text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".json":
                yield from _json_rows(path, file.read())
                return
            reader = csv.DictReader(file)
            for row in reader:
                if None in row:
                    raise ConfigError(
                        f"{path}, line {reader.line_num} has more values than there are columns."
                    )
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not CSV in UTF-8"
        raise ConfigError(
            f"{path} cannot be read: {reason}.", hint="CSV with a head, or a JSON list."
        ) from None


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    try:
        entries = json.loads(text)
    except ValueError:
        entries = None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise ConfigError(f"{path} is no JSON list of objects.", hint=f"Members: {', '.join(COLUMNS)}")
    for number, entry in enumerate(entries, 1):
        yield (
            number,
            {
                str(name): None
                if value is None
                else str(value).lower()
                if isinstance(value, bool)
                else str(value)
                for name, value in entry.items()
            },
        )
