"""Progress: bars on a terminal, quiet lines elsewhere, nothing else."""

import io
import json
import re
import time

from rich.console import Console
from rich.progress import Progress as RichProgress

from connector.cli.terminal.progress import Bar, Lines, watching
from connector.logs import configure_logging, get_logger


def work(progress):
    shop = progress.of("Juniper Goods")
    shop.stage("extract", total=3)
    shop.advance()
    shop.advance(2)
    shop.stage("load")
    shop.advance(5)
    return shop


def test_elsewhere_a_line_comes_every_half_minute():
    out = io.StringIO()
    configure_logging("json", stream=out)
    now = [0.0]
    shop = work(Lines(clock=lambda: now[0]))
    now[0] = 31.0
    shop.advance(4)
    shop.advance(4)
    [progress] = [json.loads(line) for line in out.getvalue().splitlines()]
    assert (progress["event"], progress["stage"], progress["done"]) == ("progress", "load", 9)
    assert progress["of"] == "Juniper Goods"


def test_on_a_terminal_each_connection_has_a_bar():
    out = io.StringIO()
    display = RichProgress(console=Console(file=out, force_terminal=True, width=120))
    work(Bar(display))
    [task] = display.tasks
    assert (task.description, task.completed, task.total) == ("Juniper Goods: writing the snapshot", 5, None)


def test_without_a_terminal_nobody_draws(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with watching() as progress:
        assert isinstance(progress, Lines)


def screen(written):
    """What stands on a terminal after all of it was written: the few movements that bars use."""
    lines, row = [""], 0
    column = 0
    for text, code in re.findall(r"(\x1b\[[?\d;]*[A-Za-z])|([^\x1b])", written):
        if text.endswith("A"):
            row -= int(text[2:-1] or 1)
        elif text.endswith("K"):
            lines[row] = ""
        elif code == "\r":
            column = 0
        elif code == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif code:
            lines[row] = lines[row].ljust(column)[:column] + code + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_log_lines_stand_whole_above_the_bars(monkeypatch):
    """Two connections write while bars are drawn, the second line longer than the terminal is wide."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    configure_logging()
    with watching() as progress:
        shops = [progress.of("Juniper Goods"), progress.of("Kite Wholesale")]
        for shop in shops:
            shop.stage("extract", total=30)
        for number in range(20):
            shop = shops[number % 2]
            shop.rows(53)
            shop.advance()
            get_logger("test").warning("clover.retry", company="Juniper Goods", status=None, attempt=number,
                                       attempts=20, wait_seconds=8)  # fmt: skip
        time.sleep(0.3)  # the bars are drawn ten times a second
        display = terminal.getvalue()
    assert re.search(r"\d+ rows", display)
    assert "/30" not in display, "days of lists are no rows"
    lines = [line for line in screen(terminal.getvalue()) if line]
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines] == [
        f"Juniper Goods: Clover not reachable, again in 8 s ({number} of 20)" for number in range(20)
    ]


def test_lists_tell_rows_and_orders_tell_how_many_of_all():
    display = RichProgress(console=Console(file=io.StringIO(), force_terminal=True, width=120))
    shop = Bar(display).of("Juniper Goods")
    shop.stage("extract", total=120)
    shop.rows(1000)
    shop.advance(120)
    assert display.tasks[0].fields["done"] == "1,000 rows"
    shop.stage("map", total=488)
    shop.advance(300)
    assert display.tasks[0].fields["done"] == "300 of 488 orders"
    shop.stage("extract")
    shop.rows(70)
    assert display.tasks[0].fields["done"] == "1,070 rows", "the next piece of the same lists"
