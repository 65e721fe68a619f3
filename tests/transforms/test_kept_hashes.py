"""Hashes and documents of the fixture orders stay as they are: another hash would be a new version of every order.

A rule that changes what an order comes to changes its lines in ``order_hashes.json`` on purpose; then
``python -m tests.transforms.test_kept_hashes`` writes them anew, and the difference is there to be reviewed.
"""

import hashlib
import json
from pathlib import Path

from tests.transforms.conftest import FIXTURES, case_files, map_case, read_case
from transforms.document import document

KEPT = FIXTURES.parent / "order_hashes.json"


def fingerprints(path: Path) -> list[str] | None:
    """[content hash, hash of the document as it is served]; None for an order that is held back."""
    mapped = map_case(read_case(path))
    if mapped.order is None:
        return None
    return [mapped.content_hash, hashlib.sha256(document(mapped, None).encode()).hexdigest()]


def test_every_fixture_order_has_the_hash_and_the_document_it_had() -> None:
    kept = json.loads(KEPT.read_text())
    assert {path.stem: fingerprints(path) for path in case_files()} == kept


if __name__ == "__main__":
    found = {path.stem: fingerprints(path) for path in case_files()}
    KEPT.write_text(json.dumps(found, indent=1) + "\n")
