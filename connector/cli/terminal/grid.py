"""A table that fits the terminal: what is read as one word is never broken, and no number ever.

Too wide, it gives way in this order: headers in several lines, words cut short, spare columns left out, and at last one
record a block, blocks beside each other as far as they fit.
"""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

Row = tuple[str, ...]

_GAP = "  "
_LEAST_WORDS = 20
"""Cells to which a column of words may be cut."""
_NUMBER = re.compile(r"[-+]?[\d,]+(\.\d+)?")
# Line ends, escape sequences and marks that turn the direction of the line around: text of a merchant moves nothing.
_MOVES = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Layout(TypedDict, total=False):
    """How a table gives way: ``Grid``."""

    numbers: frozenset[str]
    words: frozenset[str]
    spare: Sequence[str]
    foot: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows under columns, as ``rich`` prints them.

    numbers: columns set to the right, decimal points below each other. words: columns that may be cut short.
    spare: columns that may be left out, the first one first. foot: rows of sums below the others.
    """

    title: str | None
    columns: Row
    rows: Sequence[Row]
    numbers: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    spare: Sequence[str] = ()
    foot: Sequence[Row] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self._lines(options.max_width)
        if self.title:
            lines.insert(0, Text(self.title, "bold"))
        yield Text("\n", no_wrap=True, overflow="ignore").join(lines)

    def _lines(self, width: int) -> list[Text]:
        shown = self._quiet()
        natural = shown._natural(is_folded=False)
        if _total(natural) <= width:
            return shown._grid(natural)
        for count in range(len(self.spare) + 1):
            kept = shown._without(self.spare[:count])
            if widths := kept._fitted(width):
                left_out = [Text(f"Not shown here: {', '.join(self.spare[:count])}.", "dim")] if count else []
                return kept._grid(widths) + left_out
        return shown._blocks(width)

    def _quiet(self) -> "Grid":
        """With text that moves nothing, and numbers as wide as they have to be to stand below each other."""
        rows = [tuple(_still(cell) for cell in row) for row in self.rows]
        foot = [tuple(_still(cell) for cell in row) for row in self.foot]
        for at, column in enumerate(self.columns):
            if column in self.numbers:
                aligned = _aligned([row[at] for row in (*rows, *foot)])
                rows = [(*row[:at], aligned[n], *row[at + 1 :]) for n, row in enumerate(rows)]
                foot = [(*row[:at], aligned[len(rows) + n], *row[at + 1 :]) for n, row in enumerate(foot)]
        return replace(self, rows=rows, foot=foot)

    def _without(self, names: Sequence[str]) -> "Grid":
        keep = [at for at, column in enumerate(self.columns) if column not in names]

        def cut(row: Row) -> Row:
            return tuple(row[at] for at in keep)

        return replace(
            self, columns=cut(self.columns), rows=[*map(cut, self.rows)], foot=[*map(cut, self.foot)]
        )

    def _natural(self, *, is_folded: bool) -> list[int]:
        """The cells each column needs. is_folded: headers may take several lines."""
        widths = [
            max(map(cell_len, _pieces(column))) if is_folded else cell_len(column) for column in self.columns
        ]
        for row in (*self.rows, *self.foot):
            widths = [max(width, cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
        return widths

    def _fitted(self, width: int) -> list[int] | None:
        """The cells each column gets, columns of words cut as far as needed; None when even that is too wide."""
        widths = self._natural(is_folded=True)
        heads = [max(map(cell_len, _pieces(column))) for column in self.columns]
        while _total(widths) > width:
            give = [
                (widths[at], at)
                for at, column in enumerate(self.columns)
                if column in self.words and widths[at] > max(_LEAST_WORDS, heads[at])
            ]
            if not give:
                return None
            widths[max(give)[1]] -= 1
        return widths

    def _grid(self, widths: list[int]) -> list[Text]:
        heads = [_folded(column, width) for column, width in zip(self.columns, widths, strict=True)]
        tallest = max(map(len, heads), default=0)
        heads = [[""] * (tallest - len(head)) + head for head in heads]
        rule = Text(_GAP.join("─" * width for width in widths), "dim")
        lines = [self._line([head[n] for head in heads], widths, "bold") for n in range(tallest)]
        lines += [rule, *(self._line(row, widths) for row in self.rows)]
        if self.foot:
            lines += [rule, *(self._line(row, widths, "bold") for row in self.foot)]
        return lines

    def _line(self, cells: Sequence[str], widths: list[int], style: str = "") -> Text:
        parts = []
        for column, cell, width in zip(self.columns, cells, widths, strict=True):
            if cell_len(cell) > width:
                cell = set_cell_size(cell, width - 1).rstrip() + "…"
            space = " " * (width - cell_len(cell))
            parts.append(space + cell if column in self.numbers else cell + space)
        return Text(_GAP.join(parts).rstrip(), style)

    def _blocks(self, width: int) -> list[Text]:
        """One record a block: names down the side, as many records beside each other as fit."""
        names = [cell_len(column) for column in self.columns]
        label, records = max(names), [*self.rows, *self.foot]
        common = [
            at
            for at in range(len(self.columns))
            if len(records) > 1 and len({row[at] for row in records}) == 1
        ]
        lines = [Text(f"The same in all {len(self.rows)}:", "dim")] if common else []
        lines += self._block(common, [records[0]], label, width) if common else []
        rest = [at for at in range(len(self.columns)) if at not in common]
        while records and rest:
            beside, used = 0, label
            for record in records:
                used += len(_GAP) + max(cell_len(record[at]) for at in rest)
                if beside and used > width:
                    break
                beside += 1
            lines += [Text()] if lines else []
            lines += self._block(rest, records[:beside], label, width)
            records = records[beside:]
        return lines

    def _block(self, rows: list[int], records: Sequence[Row], label: int, width: int) -> list[Text]:
        numbers = [at for at in rows if self.columns[at] in self.numbers]
        columns: list[dict[int, str]] = []
        for record in records:
            aligned = _aligned([record[at] for at in numbers])
            size = max(map(cell_len, aligned), default=0)
            if len(records) > 1:  # alone, numbers stand near their names, however long the texts are
                size = max(size, *(cell_len(record[at]) for at in rows))
            cells = {at: record[at] + " " * (size - cell_len(record[at])) for at in rows}
            cells |= {at: " " * (size - len(cell)) + cell for at, cell in zip(numbers, aligned, strict=True)}
            columns.append(cells)
        room = max(20, width - label - len(_GAP))
        lines = []
        for at in rows:
            name = self.columns[at]
            text = _GAP.join(cells[at] for cells in columns).rstrip()
            folded = [text]
            if len(records) == 1 and cell_len(text) > room:
                folded = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
            for number, part in enumerate(folded):
                head = name if number == 0 else ""
                line = Text(head + " " * (label - cell_len(head)), "bold")
                lines.append(line.append(_GAP + part, "not bold"))
                line.rstrip()
        return lines


def _total(widths: list[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _still(text: str) -> str:
    """The text in one line, with a mark where something in it would have moved the cursor or the reading direction."""
    return _MOVES.sub(lambda found: "↵" if found[0] == "\n" else "�", text)


def _aligned(cells: list[str]) -> list[str]:
    """Numbers with blanks behind them, so that decimal points stand below each other when set to the right."""
    found = [_NUMBER.fullmatch(cell.strip()) for cell in cells]
    tails = [len(match[1] or "") if match else 0 for match in found]
    longest = max(tails, default=0)
    return [
        cell.strip() + " " * (longest - tail) if match else cell
        for cell, match, tail in zip(cells, found, tails, strict=True)
    ]


def _pieces(header: str) -> list[str]:
    """Where a header may be folded: after blanks and underscores."""
    return re.findall(r"[^ _]*_|[^ _]+", header) or [""]


def _folded(header: str, width: int) -> list[str]:
    lines: list[str] = []
    for piece in _pieces(header):
        joint = "" if lines and lines[-1].endswith("_") else " "
        if lines and cell_len(lines[-1] + joint + piece) <= width:
            lines[-1] += joint + piece
        else:
            lines.append(piece)
    return lines
