"""Tables give way to a narrow terminal without breaking what is read as one word."""

import io
import random

import pytest
from rich.console import Console

from connector.cli.terminal.output import say, table

NAMES = ("company", "run", "rows read", "total sales", "note")
ROWS = [
    ("Quay Street Goods", "20261120T040000-1f2e3d4c", "1,070", "63,348.27", "all of it was read"),
    ("東京の店", "20261120T050000-1f2e3d4d", "3", "500", "no row is new"),
]
NUMBERS = frozenset({"rows read", "total sales"})


def shown(width, made):
    out = io.StringIO()
    Console(file=out, width=width, soft_wrap=True).print(made)
    return out.getvalue()


def a_table(**options):
    return table("Runs", NAMES, ROWS, numbers=NUMBERS, words=frozenset({"company", "note"}), **options)


def test_wide_enough_it_is_a_grid_with_decimal_points_below_each_other():
    assert shown(120, a_table(foot=[("together", "", "1,073", "63,848.27", "")])).splitlines() == [
        "Runs",
        "company            run                       rows read  total sales  note",
        "─────────────────  ────────────────────────  ─────────  ───────────  ──────────────────",
        "Quay Street Goods  20261120T040000-1f2e3d4c      1,070    63,348.27  all of it was read",
        "東京の店           20261120T050000-1f2e3d4d          3       500     no row is new",
        "─────────────────  ────────────────────────  ─────────  ───────────  ──────────────────",
        "together                                         1,073    63,848.27",
    ]


def test_headers_are_folded_first_then_spare_columns_left_out():
    folded = shown(82, a_table())
    assert folded.splitlines()[1].split() == ["rows", "total"]
    assert "all of it was read" in folded
    spared = shown(70, a_table(spare=("note",)))
    assert "Not shown here: note." in spared
    assert "20261120T040000-1f2e3d4c" in spared


def test_too_wide_for_a_grid_it_is_one_record_a_block_beside_each_other_where_they_fit():
    same = [(*row, "USD") for row in ROWS]
    out = shown(72, table(None, (*NAMES, "currency"), same, numbers=NUMBERS))
    assert out.splitlines() == [
        "The same in all 2:",
        "currency     USD",
        "",
        "company      Quay Street Goods         東京の店",
        "run          20261120T040000-1f2e3d4c  20261120T050000-1f2e3d4d",
        "rows read                    1,070                            3",
        "total sales                 63,348.27                       500",
        "note         all of it was read        no row is new",
    ]
    assert len(shown(44, table(None, NAMES, ROWS, numbers=NUMBERS)).splitlines()) == 2 * len(NAMES) + 1


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
def test_no_number_id_or_date_is_ever_broken(width):
    """Many tables of every shape: each number, id and date stands whole in one line, and no line is too long."""
    dice = random.Random(width)
    for _ in range(60):
        whole = [
            f"{dice.randrange(10 ** dice.randrange(1, 12)):,}.{dice.randrange(100):02}" for _ in range(12)
        ]
        whole += [f"2026-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}" for _ in range(6)]
        count = dice.randrange(1, 13)
        columns = [
            f"{dice.choice(('net', 'total', 'id', 'service'))} {dice.choice(('sales', 'x'))}{n}"
            for n in range(count)
        ]
        rows = [[dice.choice(whole) for _ in columns] for _ in range(dice.randrange(4))]
        spare = columns[: dice.randrange(2)]
        out = shown(width, table(None, columns, rows, numbers=frozenset(columns[::2]), spare=spare))
        assert max(map(len, out.splitlines()), default=0) <= width
        for row in rows:
            for column, cell in zip(columns, row, strict=True):
                assert cell in out.replace("\n", " ").split() or column in spare


def test_text_of_a_merchant_moves_nothing():
    out = shown(80, table(None, ("name",), [["a\x1b[2Jb\u202ec\nd [bold]e"]]))
    assert out.splitlines()[-1] == "a�[2Jb�c↵d [bold]e"


def test_a_sentence_is_folded_where_somebody_reads(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    say("Juniper Goods: " + "word " * 12)
    monkeypatch.delenv("COLUMNS")
    say("Juniper Goods: " + "word " * 12)
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) <= 40 for line in lines[:2]] == [True, True]
    assert len(lines) == 4 - 1 or len(lines[-1]) > 40
