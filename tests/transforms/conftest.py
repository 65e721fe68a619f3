"""Before and after pairs under ``tests/fixtures/orders``: Clover's records, and the Codat order an accountant expects.

Members absent from ``codat`` are not asserted; numbers compare as exact decimals; lists must be of the same length.
``issues`` lists what must be reported, as ``code`` or ``code difference_in_minor_units``, everything but infos unless
``infos`` lists those too.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from transforms.document import document
from transforms.model import MappedOrder, Merchant, OrderGroup, Severity
from transforms.order.order import map_order
from transforms.read.group import parse_group
from transforms.read.platform import with_platform

FIXTURES = Path(__file__).parents[1] / "fixtures" / "orders"
MERCHANT = Merchant("MHT4QK2Z9WX61", "Quay Street Goods", "USA", "USD", "America/New_York")
RUN_START = datetime(2027, 1, 1, 4, tzinfo=UTC)


def case_files() -> list[Path]:
    return sorted(FIXTURES.glob("*.yaml"))


def read_case(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def group_of(clover: dict[str, Any]) -> OrderGroup:
    group, broken = parse_group(clover.get("order"), clover.get("charges", []), clover.get("refunds", []))
    assert not broken, broken
    platform = {"lineItems": clover.get("platform_lines", []), **clover.get("platform", {})}
    return with_platform(group, platform)


def map_case(case: dict[str, Any], **options: Any) -> MappedOrder:
    merchant = Merchant(**{**_members(MERCHANT), **case.get("merchant", {})})
    settings = {
        "previous": None,
        "run_start": RUN_START,
        "unpaid_orders": case.get("unpaid_orders", "exclude"),
    }
    return map_order(group_of(case["clover"]), merchant, **{**settings, **options})


def _members(merchant: Merchant) -> dict[str, Any]:
    return {name: getattr(merchant, name) for name in Merchant.__slots__}


def differences(expected: Any, found: Any, where: str = "codat") -> list[str]:
    """Where a served document is not what was expected."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return [f"{where}: {found!r} instead of {expected!r}"]
        return [
            difference
            for name, value in expected.items()
            for difference in (
                differences(value, found[name], f"{where}.{name}")
                if name in found
                else ([] if value is None else [f"{where}.{name}: absent"])
            )
        ]
    if isinstance(expected, list):
        if not isinstance(found, list) or len(expected) != len(found):
            return [f"{where}: {found!r} instead of {expected!r}"]
        return [
            difference
            for index, (one, other) in enumerate(zip(expected, found, strict=True))
            for difference in differences(one, other, f"{where}[{index}]")
        ]
    if _number(expected) is not None and _number(found) is not None:
        return [] if _number(expected) == _number(found) else [f"{where}: {found} instead of {expected}"]
    return [] if expected == found else [f"{where}: {found!r} instead of {expected!r}"]


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return Decimal(str(value))
    except ArithmeticError:
        return None


def told(mapped: MappedOrder, severity: set[Severity]) -> list[str]:
    return sorted(
        issue.code if issue.difference_minor is None else f"{issue.code} {issue.difference_minor}"
        for issue in mapped.issues
        if issue.severity in severity
    )


@pytest.fixture
def check_case() -> Callable[[dict[str, Any]], MappedOrder]:
    def check(case: dict[str, Any]) -> MappedOrder:
        mapped = map_case(case)
        if "held_back" in case:
            assert mapped.held_back == case["held_back"]
            assert mapped.order is None
        else:
            assert mapped.held_back is None
            served = orjson.loads(document(mapped, None))
            assert not differences(case["codat"], served)
        assert told(mapped, {Severity.WARNING, Severity.ERROR}) == sorted(case.get("issues", []))
        if "infos" in case:
            assert told(mapped, {Severity.INFO}) == sorted(case["infos"])
        assert mapped.open_reason == case.get("open")
        return mapped

    return check
