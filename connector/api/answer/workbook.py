"""Tables as one Excel workbook, written row by row, so that its size in memory does not grow with its rows.

Excel keeps 15 digits of a number: an amount with more of them is written as text. Text is never a formula, whatever
it begins with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

from schemas.wire import number_text

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_DIGITS = 15
_MOST_TEXT = 32_767  # characters of a cell


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table. ``rows``: cells in the order of ``columns``; None is an empty cell, times are UTC."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[object]]


def write_workbook(path: Path, sheets: Iterable[Sheet], *, made: datetime) -> int:
    """Write the file; how many rows all sheets have, headings apart. made: the date inside it, aware UTC."""
    written = 0
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"created": made.astimezone(UTC).replace(tzinfo=None)})
        heading = book.add_format({"bold": True})
        formats = {
            datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            date: book.add_format({"num_format": "yyyy-mm-dd"}),
            Decimal: book.add_format({"num_format": "#,##0.00##"}),
        }
        for sheet in sheets:
            page = book.add_worksheet(sheet.name)
            page.freeze_panes(1, 0)
            page.set_column(0, len(sheet.columns) - 1, 18)
            page.write_row(0, 0, sheet.columns, heading)
            for number, row in enumerate(sheet.rows, 1):
                written += 1
                for place, value in enumerate(row):
                    if value is not None:
                        _write(page, number, place, value, formats.get(type(value)))
    return written


def _write(page: Any, row: int, place: int, value: object, shown_as: Any) -> None:
    if isinstance(value, bool):
        page.write_boolean(row, place, value)
    elif isinstance(value, datetime):
        page.write_datetime(row, place, value.replace(tzinfo=None), shown_as)
    elif isinstance(value, date):
        page.write_datetime(row, place, value, shown_as)
    elif isinstance(value, int | Decimal) and len(Decimal(value).normalize().as_tuple().digits) <= _DIGITS:
        page.write_number(row, place, value, shown_as)
    elif isinstance(value, Decimal):
        page.write_string(row, place, number_text(value))
    else:
        page.write_string(row, place, str(value)[:_MOST_TEXT])
