"""Checks an evidence file without store, network or configuration: signature, hashes, and that the figures add up.

What is proved: nobody changed a byte since the holder of the key sealed it, and the figures are those of the orders
in it. Whose key it is, the file cannot prove: compare the fingerprint with what the operator gave you.
"""

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from connector.api.evidence.key import fingerprint, is_signed
from connector.api.evidence.seal import FORMAT, TOTALS
from connector.errors import ConfigError

_SEALED = ("manifest.json", "signature.json")
_MOST_MANIFEST = 16 << 20  # bytes; a manifest of ours has a few thousand


@dataclass(slots=True)
class Checked:
    """``faults``: everything that is wrong, in words; empty when the file is sound."""

    fingerprint: str = ""
    manifest: dict[str, Any] = field(default_factory=dict)
    orders: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return not self.faults


def check_evidence(path: Path, *, key: str | None = None) -> Checked:
    """Check a file. key: the public key in base64, or its fingerprint, that must have signed it.

    Raises ConfigError for something that is no evidence file.
    """
    checked = Checked()
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, checked, key)
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path} cannot be read as an evidence file: {error}", hint="Ask for the file again."
        ) from None
    return checked


def _check(archive: zipfile.ZipFile, checked: Checked, key: str | None) -> None:
    names = archive.namelist()
    if not set(_SEALED) <= set(names):
        raise ConfigError(
            "The file has no manifest.json and signature.json: it is no evidence file.",
            hint="connector evidence make writes one.",
        )
    if len(names) != len(set(names)):
        checked.faults.append("a name is in the file twice")
        return
    content = _small(archive, "manifest.json")
    _check_signature(content, _small(archive, "signature.json"), checked, key)
    try:
        manifest = json.loads(content)
        files = dict(manifest["files"])
    except (ValueError, KeyError, TypeError):
        checked.faults.append("manifest.json is not readable")
        return
    checked.manifest = manifest
    if manifest.get("format") != FORMAT:
        checked.faults.append(f"the format is {manifest.get('format')}; this version checks {FORMAT}")
        return
    for name in sorted(set(names) - set(files) - set(_SEALED)):
        checked.faults.append(f"{name} is in the file, but was not sealed")
    for name, sealed in sorted(files.items()):
        if name not in names:
            checked.faults.append(f"{name} is missing")
            continue
        try:
            found = _measured(archive, name)
        except zipfile.BadZipFile as error:
            checked.faults.append(f"{name} cannot be read: {error}")
            continue
        checked.faults += [
            f"{name}: {what} is {found[what]}, sealed was {sealed.get(what)}"
            for what in ("bytes", "lines", "sha256")
            if found[what] != sealed.get(what)
        ]
    if not checked.faults:
        _check_figures(archive, checked)


def _check_signature(content: bytes, signature: bytes, checked: Checked, key: str | None) -> None:
    try:
        said = json.loads(signature)
        public = base64.b64decode(said["publicKey"], validate=True)
        seal = base64.b64decode(said["signature"], validate=True)
    except (ValueError, KeyError, TypeError):
        checked.faults.append("signature.json is not readable")
        return
    checked.fingerprint = fingerprint(public)
    if not is_signed(public, seal, content):
        checked.faults.append("the signature does not fit manifest.json")
    if key is not None and key.strip() not in (base64.b64encode(public).decode(), checked.fingerprint):
        checked.faults.append(f"it is signed by another key, {checked.fingerprint}")


def _check_figures(archive: zipfile.ZipFile, checked: Checked) -> None:
    """The figures must be those of the orders, whoever sealed them."""
    found: dict[tuple[str, str], list[Decimal]] = {}
    for order in _orders(archive):
        sums = found.setdefault(
            (str(order["createdDate"])[:7], str(order["currency"])), [Decimal(0)] * (1 + len(TOTALS))
        )
        sums[0] += 1
        for place, name in enumerate(TOTALS, start=1):
            sums[place] += Decimal(order[name])
        checked.orders += 1
    told = {
        (str(month["month"]), str(month["currency"])): [
            Decimal(month["orders"]), *(Decimal(month[name]) for name in TOTALS)
        ]
        for month in json.loads(archive.read("figures.json"))
    }  # fmt: skip
    for where in sorted(found.keys() | told.keys()):
        if found.get(where) != told.get(where):
            checked.faults.append(f"figures of {' '.join(where)} are not those of the orders")


def _orders(archive: zipfile.ZipFile) -> Iterator[dict[str, Any]]:
    with archive.open("orders.ndjson") as lines:
        for line in lines:
            yield json.loads(line, parse_float=Decimal)


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _MOST_MANIFEST:
        raise ConfigError(f"{name} is larger than any manifest: it is no evidence file.")
    return archive.read(name)


def _measured(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    digest, size, lines = hashlib.sha256(), 0, 0
    with archive.open(name) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
            lines += piece.count(b"\n")
    return {"bytes": size, "lines": lines, "sha256": digest.hexdigest()}
