"""What the recipes for Prefect, Dagster and Airflow share: one ``sync --patient --json``, judged by its exit code.

Needs nothing but the standard library, so it may run where the connector is only a command. Copy it beside the recipe.
"""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

DONE, FAILED, WRONG, PARTLY, BUSY = 0, 1, 2, 3, 4


class SyncFailed(Exception):
    """The sync failed or was partly done; the message names each company and what to type next."""


class SyncSkipped(Exception):
    """Another run holds the lock: nothing to do."""


def sync(
    company: str | None = None, *, command: Sequence[str] = ("connector",), timeout: float = 6 * 3600
) -> dict[str, Any]:
    """Sync one company, or all; the report. timeout: seconds, after which the process is killed, which is safe."""
    call = [*command, "sync", "--patient", "--json", "--log-format", "json"]
    if company is not None:
        call += ["--company", company]
    done = subprocess.run(call, capture_output=True, text=True, timeout=timeout, check=False)  # noqa: S603
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise SyncFailed(f"connector ended with {done.returncode}: {done.stderr[-2000:]}") from None
    if done.returncode == BUSY:
        raise SyncSkipped("another run is at it")
    if done.returncode != DONE:
        raise SyncFailed(_what_failed(report, done.returncode))
    return report


def _what_failed(report: dict[str, Any], code: int) -> str:
    if error := report.get("error"):
        return f"exit code {code}: {error['message']} {error.get('hint') or ''}".strip()
    lines = [
        f"{run['companyName']}: {(run['error'] or {}).get('message', run['status'])}"
        for run in report.get("runs", [])
        if run["status"] != "succeeded"
    ]
    return f"exit code {code}: " + "; ".join(lines)
