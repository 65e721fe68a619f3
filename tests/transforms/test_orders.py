"""Every before and after pair under ``tests/fixtures/orders``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from transforms.model import MappedOrder

CASES = sorted((Path(__file__).parents[1] / "fixtures" / "orders").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_fixture(path: Path, check_case: Callable[[dict[str, Any]], MappedOrder]) -> None:
    check_case(yaml.safe_load(path.read_text()))


def test_every_fixture_says_why() -> None:
    assert len(CASES) >= 40
    for path in CASES:
        case = yaml.safe_load(path.read_text())
        assert case["why"].strip(), path
        unknown = set(case) - {
            "why",
            "clover",
            "codat",
            "issues",
            "infos",
            "held_back",
            "open",
            "merchant",
            "unpaid_orders",
        }
        assert not unknown, (path, unknown)
