"""A real browser for tests of pages: Debian's Chromium, which reaches this machine and nothing else."""

import os
import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip


@contextmanager
def chromium():
    """The browser, started; a test without one is skipped, except where everything has to run."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("no browser: apt-get install chromium")
        pytest.skip("no browser here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


def serious_violations(page):
    """What keeps people out of a page: (rule, elements) of axe's serious and critical findings."""
    from axe_playwright_python.sync_playwright import Axe

    answer = Axe().run(page).response
    assert "color-contrast" in {one["id"] for one in answer["passes"]}, "it looked"
    return [
        (one["id"], [node["html"] for node in one["nodes"][:3]])
        for one in answer["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def overflow(page):
    """How many pixels a page scrolls sideways."""
    return page.evaluate("document.scrollingElement.scrollWidth - document.documentElement.clientWidth")
