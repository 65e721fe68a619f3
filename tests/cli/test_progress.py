"""Progress: bars on a terminal, quiet lines elsewhere, nothing secret in either."""

import io
import json

from rich.console import Console
from rich.progress import Progress as RichProgress

from connector.cli.terminal.progress import Bar, Lines, watching
from connector.logs import configure_logging


def work(progress):
    shop = progress.of("Juniper Goods")
    shop.stage("extract", total=3)
    shop.advance()
    shop.advance(2)
    shop.note("waiting for clv_1TSTxxxxYYYY")
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
    note, progress = [json.loads(line) for line in out.getvalue().splitlines()]
    assert note["event"] == "note"
    assert "1TSTxxxx" not in note["text"]
    assert (progress["event"], progress["stage"], progress["done"]) == ("progress", "load", 9)
    assert progress["of"] == "Juniper Goods"


def test_on_a_terminal_each_connection_has_a_bar():
    out = io.StringIO()
    display = RichProgress(console=Console(file=out, force_terminal=True, width=120))
    work(Bar(display))
    [task] = display.tasks
    assert (task.description, task.completed, task.total) == ("Juniper Goods: writing the snapshot", 5, None)
    assert "1TSTxxxx" not in out.getvalue()


def test_without_a_terminal_nobody_draws(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with watching() as progress:
        assert isinstance(progress, Lines)
