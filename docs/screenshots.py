"""Takes the README's pictures of portal and report: a demo shop is synced, served here and opened in Chromium.

    python docs/screenshots.py

Needs the dev extra and Debian's chromium. Pictures are written to docs/images, each under 150 kB.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from time import sleep

from playwright.sync_api import Browser, Page, sync_playwright

from connector.api.door.connections import Server, ServerConfig
from connector.api.state import ApiSettings, ApiState
from connector.config import load_config
from connector.control.companies import take_from_config
from connector.control.keys import create_key
from connector.logs import configure_logging
from connector.portal.app import create_app

IMAGES = Path(__file__).parent / "images"
MOST_BYTES = 150_000
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def main() -> None:
    """Every picture, in the order of the README."""
    configure_logging()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        demo = Path(directory) / "demo"
        subprocess.run([sys.executable, "-m", "connector", "demo", "--dir", str(demo)], check=False)  # noqa: S603
        with served(demo) as (url, state), sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            take_all(browser, url, state)
            take_report(browser, demo)
            browser.close()


def take_all(browser: Browser, url: str, state: ApiState) -> None:
    """Signs in as an operator and goes through the pages."""
    _key, secret = create_key(
        state.control, "demo", now=datetime.now(UTC), scopes=("read", "write", "lineage")
    )
    company = state.control.rows("SELECT company_id FROM companies")[0][0]
    for scheme, width, height, name, path in (
        ("light", 1180, 420, "portal-companies", "/portal"),
        ("light", 1180, 900, "portal-company", f"/portal/companies/{company}"),
        ("dark", 1180, 900, "portal-company-dark", f"/portal/companies/{company}"),
        ("light", 390, 800, "portal-phone", f"/portal/companies/{company}"),
        ("light", 1180, 900, "portal-order", "an order"),
    ):
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.goto(f"{url}/portal/sign-in")
        page.fill("#key", secret)
        page.click("button.main")
        if path == "an order":
            page.goto(f"{url}/portal/companies/{company}")
            page.click("ul.connections a")
            page.fill("#query", "totalRefund<0 && totalGratuity>0")
            page.click("form.bar button")
            page.click("table.orders tbody a")
            page.click("#total-totalAmount summary")
        else:
            page.goto(url + path)
        kept(page, name)


def take_report(browser: Browser, demo: Path) -> None:
    """The first page of the statement."""
    command = [
        sys.executable,
        "-m",
        "connector",
        "--config",
        str(demo / "config.yaml"),
        "report",
        "--to",
        str(demo),
    ]
    subprocess.run(command, check=True)  # noqa: S603
    [statement] = demo.glob("*.html")
    page = browser.new_page(viewport={"width": 1180, "height": 1500})
    page.goto(f"file://{statement}")
    kept(page, "report")


def kept(page: Page, name: str) -> None:
    """Keeps a picture; an error where it is too large for a README."""
    file = IMAGES / f"{name}.png"
    page.screenshot(path=file)
    page.close()
    if file.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{file} has {file.stat().st_size} bytes, more than {MOST_BYTES}.")
    print(file, file.stat().st_size)


@contextmanager
def served(demo: Path) -> Iterator[tuple[str, ApiState]]:
    """The demo's store behind the portal, on a free port of this machine."""
    config = load_config(demo / "config.yaml")
    app = create_app(ApiSettings(directory=demo / "data"))
    state: ApiState = app.state.api
    companies = [(one.id, one.name, [two.id for two in one.connections]) for one in config.companies]
    take_from_config(state.control, companies, now=datetime.now(UTC))
    server = Server(ServerConfig(app, port=0))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", state
    finally:
        server.should_exit = True
        thread.join(20)


if __name__ == "__main__":
    main()
