"""The report of a company: the figures of the views, opened in a real browser, without a network."""

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from markupsafe import escape

from connector.cli.entry import run
from connector.report.figure_reads import companies, read_figures
from connector.report.figures import ratio
from connector.report.page import page

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)


class Page(HTMLParser):
    """What a reader of the page sees: tables by id, embedded JSON by id, and the text drawn into each chart."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.json, self.drawn, self.attributes = {}, {}, {}, {}
        self._table = self._script = self._chart = None
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "html":
            self.attributes = attrs
        elif tag == "table":
            self._table = self.tables.setdefault(attrs.get("id"), [])
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th") and self._table is not None:
            self._table[-1].append("")
            self._in_cell = True
        elif tag == "script":
            self._script = attrs.get("id")
        elif tag == "div" and (attrs.get("id") or "").startswith("chart-"):
            self._chart = self.drawn.setdefault(attrs["id"].removeprefix("chart-"), [])

    def handle_endtag(self, tag):
        if tag == "table":
            self._table = None
        elif tag in ("td", "th"):
            self._in_cell = False
        elif tag == "script":
            self._script = None
        elif tag == "svg":
            self._chart = None

    def handle_data(self, data):
        if self._script:
            self.json[self._script] = json.loads(data)
        elif self._in_cell and self._table is not None:
            self._table[-1][-1] += data
        elif self._chart is not None and data.strip():
            self._chart.append(data.strip())


@pytest.fixture(scope="module")
def pages(ledger_store, ledgers):
    """Company name -> (figures, page)."""
    with ledger_store.open_reader() as reader:
        found = [
            read_figures(reader.connection, company_id, snapshot_id=reader.snapshot_id)
            for company_id in companies(reader.connection)
        ]
    return {figures.company: (figures, page(figures, at=AT)) for figures in found}


@pytest.fixture(scope="module")
def opened(pages, tmp_path_factory):
    """Juniper's page as a browser shows it: (what is on it, what the browser complained of)."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("no browser: apt-get install chromium")
        pytest.skip("no browser here: apt-get install chromium")
    directory = tmp_path_factory.mktemp("page")
    (directory / "juniper.html").write_text(pages["Juniper Goods"][1])
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={directory / 'profile'}",
        "--enable-logging=stderr", "--window-size=1120,2000", "--virtual-time-budget=10000",
        "--dump-dom", f"file://{directory / 'juniper.html'}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Page(done.stdout), complaints


def test_the_browser_shows_every_chart_and_complains_of_nothing(opened, pages):
    shown, complaints = opened
    figures, _ = pages["Juniper Goods"]
    assert complaints == []
    # USD and JPY have five charts each; customers and one reconciliation are beside them.
    assert len(shown.drawn) == 5 * len(figures.sales) + 2 == 12
    assert all(len(texts) > 2 for texts in shown.drawn.values()), "each chart has its labels drawn"
    assert len(shown.tables) == 12 + 3, "freshness, what is held back and issues have a table only"


def test_the_figures_drawn_are_those_of_the_views(opened, sales, ledgers):
    """Text in the drawn chart, text in the table and the view say the same, currency by currency."""
    shown, _ = opened
    company = ledgers["juniper"].company_id
    for currency, digits in (("USD", 2), ("JPY", 0)):
        found = sales.execute(
            'SELECT "month", orders, gross_sales, discounts, "returns", net_sales, service_charges, tax, total_sales,'
            " tips, overpayments, gift_cards_sold, receivable, amount_collected FROM monthly_sales"
            " WHERE company_id = ? AND currency = ? ORDER BY 1",
            [company, currency],
        ).fetchall()
        money = lambda amount: f"{amount:,.{digits}f}"  # noqa: E731, B023
        *table, foot = shown.tables[f"table-net-sales-{currency}"][1:]
        assert [[row[0].removesuffix(" so far"), *row[1:14]] for row in table] == [
            [f"{row[0]:%Y-%m}", str(row[1]), *map(money, row[2:])] for row in found
        ]
        totals = [sum(row[place] for row in found) for place in range(2, 14)]
        assert foot[:14] == ["Together", str(sum(row[1] for row in found)), *map(money, totals)]
        drawn = shown.drawn[f"net-sales-{currency}"]
        both = [money(row[place]) for row in found for place in (2, 5)]
        assert [text for text in drawn if text in both] == both, "gross and net sales of each month"
        steps = {row[0]: row[1] for row in shown.tables[f"table-bridge-{currency}"][1:]}
        assert (steps["Gross"], steps["Net sales"], steps["Received"]) == tuple(
            money(totals[place]) for place in (0, 3, 11)
        )
        averages = [money(ratio(row[2] - row[3], row[1], currency)) for row in found]
        assert [row[3] for row in shown.tables[f"table-average-order-value-{currency}"][1:]] == averages
        assert set(averages) <= set(shown.drawn[f"average-order-value-{currency}"])


def test_returns_are_shown_by_month_of_the_refund_and_by_month_of_the_order(opened):
    """Goods for 74.26 came back in October, for 109.76 of what October sold; 77.00 of money went back in October."""
    shown, _ = opened
    assert shown.tables["table-returns-USD"][1:] == [
        ["2026-10", "74.26", "109.76", "-77.00"],
        ["2026-11 so far", "120.60", "85.10", "-135.61"],
        ["Together", "194.86", "194.86", "-212.61"],
    ]


def test_customers_products_issues_freshness_and_reconciliation_are_those_of_the_views(opened):
    shown, _ = opened
    assert shown.tables["table-customers"][1:] == [
        ["2026-10", "14", "0", "6"],
        ["2026-11 so far", "5", "7", "2"],
    ]
    assert shown.tables["table-top-products-USD"][1] == ["Desk lamp", "5", "200.00"]
    assert [[row[0], *row[2:4]] for row in shown.tables["table-open-issues"][1:]] == [
        ["warning", "payments_total", "1"],
        ["info", "refund_lines", "1"],
        ["info", "source_total", "1"],
    ]
    assert shown.tables["table-freshness"][1] == [
        "Juniper Goods", "Linked", "2026-11-22 05:01 UTC", "2026-11-22 01:00 UTC", "6",
    ]  # fmt: skip
    assert shown.tables["table-reconciliation-USD"][1] == [
        "charges",
        "6",
        "6",
        "124.00",
        "123.99",
        "0.01",
        "0.00",
    ]


def test_no_currency_is_ever_added_to_another(pages):
    """Every chart and table of money names one currency, and the embedded figures keep them apart."""
    _figures, text = pages["Juniper Goods"]
    embedded = Page(text).json["figures"]
    assert [sales["currency"] for sales in embedded["sales"]] == ["USD", "JPY"]
    total = {s["currency"]: sum(Decimal(m["net_sales"]) for m in s["months"]) for s in embedded["sales"]}
    assert total == {"USD": Decimal("874.53"), "JPY": Decimal(10200)}
    assert "11,074.53" not in text


def test_the_page_may_load_nothing_from_anywhere(pages):
    """It forbids itself the network, and refers to no file but itself."""
    for _, text in pages.values():
        assert "Content-Security-Policy\" content=\"default-src 'none'" in text
        assert not re.findall(r"<(?:script|img|link|iframe)[^>]*\b(?:src|href)=", text)
        assert "script-src" not in text, "and runs nothing: default-src 'none' forbids every script"
        assert len(text.encode()) < 150_000, "small enough for any mail"


def test_names_cannot_break_out_of_the_page(ledger_store, pages):
    from dataclasses import replace

    figures, _ = pages["Kite Wholesale"]
    evil = '</script><script>alert(1)</script><img src=x onerror="alert(1)">'
    product = replace(figures.sales[0].products[0], name=evil)
    sales = (replace(figures.sales[0], products=(product,)),)
    text = page(replace(figures, company=evil, sales=sales), at=AT)
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert str(escape(evil)) in text


def test_a_company_without_any_order_has_a_page_too(ledger_store, pages):
    from dataclasses import replace

    figures, _ = pages["Kite Wholesale"]
    nothing = replace(
        figures, sales=(), customers=(), issues=(), comparisons=(), quality={}, held=(), read_until=None
    )
    text = page(nothing, at=AT)
    assert "Nothing is open." in text
    assert "Nothing is held back." in text


def test_months_without_sales_are_shown_as_such(ledger_store):
    from connector.report.figure_reads import _unbroken
    from connector.report.figures import Month

    zero = Decimal(0)
    months = [Month(date(2025, 11, 1), 1, *[zero] * 6, None), Month(date(2026, 2, 1), 1, *[zero] * 6, None)]
    assert [f"{m.month:%Y-%m} {m.orders}" for m in _unbroken(months)] == [
        "2025-11 1", "2025-12 0", "2026-01 0", "2026-02 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("total", "count", "currency", "expected"),
    [
        ("10.00", 3, "USD", "3.33"),
        ("10.05", 2, "USD", "5.03"),
        ("5401", 2, "JPY", "2701"),
        ("1.0005", 1, "KWD", "1.001"),
    ],
)
def test_averages_are_a_sum_over_a_count_in_whole_minor_units(total, count, currency, expected):
    assert ratio(Decimal(total), count, currency) == Decimal(expected)
    assert ratio(Decimal(0), 0, currency) is None


def test_as_told_and_now_is_the_restatement_of_every_month(ledger_store, ledgers, sales):
    """The tables and the figures for programs say what the macros say; a page that was not asked has none."""
    company = ledgers["juniper"].company_id
    (first,) = sales.execute(
        "SELECT min(snapshot_id) FROM snapshots WHERE company_id = ?", [company]
    ).fetchone()
    with ledger_store.open_reader() as reader:
        figures = read_figures(reader.connection, company, snapshot_id=reader.snapshot_id, told=first)
        told = Page(page(figures, at=AT))
    wanted = sales.execute(
        f"SELECT currency, figure, was, became, difference, orders FROM restatement({first}, now())"
        " WHERE company_id = ? ORDER BY month, currency, figure",
        [company],
    ).fetchall()
    header, *rows = told.tables["table-restated"]
    assert header[3:6] == ["as told", "now", "difference"]
    assert [(row[1], row[2].replace(" ", "_")) for row in rows] == [row[:2] for row in wanted]
    assert [[Decimal(cell.replace(",", "").replace("\u2212", "-")) for cell in row[3:6]] for row in rows] == [
        list(row[2:5]) for row in wanted
    ]
    restated = told.json["figures"]["restatement"]
    assert restated["snapshot_id"] == first
    assert [one["orders"] for one in restated["figures"]] == [row[5] for row in wanted]
    assert {row[3] for row in told.tables["table-restated-orders"][1:]} == {"new", "changed"}
    plain = Page(page(read_figures(sales, company, snapshot_id=first), at=AT))
    assert "table-restated" not in plain.tables


@pytest.mark.parametrize(
    ("told", "code"), [("1", 0), ("2099-01-01", 0), ("99", 2), ("1999-01-01", 2), ("then", 2)]
)
def test_the_command_takes_a_snapshot_or_a_time(demo, tmp_path, told, code):
    asked = [
        "--config",
        str(demo / "demo/config.yaml"),
        "report",
        "--to",
        str(tmp_path / "r"),
        "--told",
        told,
    ]
    assert run(asked) == code
    assert (tmp_path / "r").exists() == (code == 0)


def test_the_year_before_stands_beside_a_month():
    from connector.report.figures import Month, Sales
    from connector.report.sales_charts import net_sales

    def month(year, number, net):
        return Month(date(year, number, 1), 1, net_sales=Decimal(net))

    sales = Sales(
        "USD",
        (month(2025, 10, "100"), month(2025, 11, "80"), month(2026, 10, "125.5"), month(2026, 11, "40")),
        (),
    )
    chart = net_sales(sales, date(2026, 11, 20))
    assert [(row[0], row[-2], row[-1]) for row in chart.rows] == [
        ("2025-10", "", ""), ("2025-11", "", ""), ("2026-10", "100.00", "+25.5 %"),
        ("2026-11 so far", "80.00", "-50.0 %"),
    ]  # fmt: skip


def test_money_stands_behind_what_is_held_back_and_what_does_not_add_up(ledger_store, pages):
    from dataclasses import replace

    from connector.report.figures import HeldBack

    figures, _ = pages["Juniper Goods"]
    amounts = {"USD": Decimal("12.30"), "JPY": Decimal(500)}
    with_money = replace(
        figures,
        held=(HeldBack("open_cart", 3, {}), HeldBack("somewhat_new", 1, amounts)),
        issues=(replace(figures.issues[0], orders=44, amounts=amounts),),
    )
    tables = Page(page(with_money, at=AT)).tables
    assert tables["table-held-back"][1:] == [
        ["A cart nobody tried to pay.", "open_cart", "3", ""],
        ["somewhat_new", "somewhat_new", "1", "12.30 USD, 500 JPY"],
    ]
    assert tables["table-open-issues"][1][2:5] == [figures.issues[0].code, "44", "12.30 USD, 500 JPY"]


def test_differences_and_held_back_money_are_those_of_the_views(pages, sales, ledgers):
    for name in ("juniper", "kite", "lark"):
        company = ledgers[name].company_id
        figures, _ = pages[ledgers[name].text["company"]]
        found = sales.execute(
            "SELECT severity, code, currency, sum(abs(difference_amount)) FROM open_issues WHERE company_id = ?"
            " AND difference_amount <> 0 GROUP BY ALL",
            [company],
        ).fetchall()
        told = {
            (one.severity, one.code, currency): amount
            for one in figures.issues
            for currency, amount in one.amounts.items()
        }
        assert told == {row[:3]: row[3] for row in found}
        [(records,)] = sales.execute(
            "SELECT count(*) FROM held_back WHERE company_id = ? AND resolved_run IS NULL", [company]
        ).fetchall()
        assert sum(one.records for one in figures.held) == records


@pytest.mark.parametrize(
    ("company", "start"),
    [
        ("Juniper Goods", "juniper-goods-"),
        ("山田商店", "山田商店-"),
        ("Café Zoë & Söhne", "café-zoë-söhne-"),
        ("...", "company-"),
        ("../../etc/passwd", "etc-passwd-"),
        ("x" * 300, "x" * 60 + "-"),
    ],
)
def test_a_page_keeps_its_name_whatever_companies_there_are(company, start):
    from connector.cli.commands.report import file_name

    first, second = file_name(company, "one"), file_name(company, "two")
    assert first != second, "two companies of one name have two files"
    assert first == file_name(company, "one")
    assert re.fullmatch(re.escape(start) + r"[0-9a-f]{8}\.html", first)


def test_every_reason_for_holding_back_has_words():
    from connector.report.words import HELD_BACK
    from transforms.check.publication import HeldBack

    assert {str(reason) for reason in HeldBack} <= HELD_BACK.keys()


def test_the_page_shuts_nobody_out_and_prints_with_every_figure(pages, tmp_path):
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("no browser: apt-get install chromium")
        pytest.skip("no browser here: apt-get install chromium")
    (tmp_path / "juniper.html").write_text(pages["Juniper Goods"][1])
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"],
        )
        for scheme, width in (("light", 1120), ("dark", 1120), ("light", 375)):
            opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            opened.goto(f"file://{tmp_path / 'juniper.html'}")
            assert opened.evaluate("document.scrollingElement.scrollWidth") <= width
            back = opened.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (back == "rgb(255, 255, 255)") is (scheme == "light")
            answer = Axe().run(opened).response
            assert "color-contrast" in {one["id"] for one in answer["passes"]}, "it looked"
            serious = [one["id"] for one in answer["violations"] if one["impact"] in ("serious", "critical")]
            assert serious == []
        opened.set_viewport_size({"width": 1040, "height": 800})  # A4 across, less its margins, in CSS pixels
        opened.emulate_media(media="print", color_scheme="light")
        for table in opened.query_selector_all("table"):
            assert table.is_visible()
            assert table.bounding_box()["width"] <= 1040, "no column is cut off"
        assert opened.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"
        browser.close()
