"""Makes a store from a backup: into an empty place only, and only when every hash, count and sum agrees."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from connector.errors import StoreError, StoreTooNew
from connector.ledger.database import private_directory, store_errors
from connector.ledger.keep.backup import Manifest, figures, unpack, verify_backup
from connector.ledger.migrate import migrations
from connector.ledger.places import Place
from connector.ledger.store import DuckStore


def restore_backup(backup: Path, directory: Path, *, clock: Callable[[], datetime]) -> Manifest:
    """A store in ``directory``, brought up to this version. Raises StoreError and leaves nothing behind then.

    directory: must be missing or empty; what is in use is never written over.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise StoreError(
            f"{directory} is not empty. Nothing was restored.",
            hint="Restore into a new directory, check it, then let `store` in the configuration name it.",
        )
    manifest = verify_backup(backup)
    newest = max(version for version, _, _ in migrations())
    if manifest.figures.schema > newest:
        raise StoreTooNew(
            f"{backup} holds a store of a newer version of the connector"
            f" (schema {manifest.figures.schema}; this one knows {newest}). Nothing was restored.",
            hint="Upgrade the connector: pip install --upgrade clover-codat-connector",
        )
    draft = directory.with_name(f".{directory.name}.restoring")
    with store_errors(directory, "restore"):
        shutil.rmtree(draft, ignore_errors=True)
        try:
            private_directory(draft)
            unpack(backup, draft)
            _check(draft, manifest)
            _publish(draft, manifest)
            store = DuckStore(draft, clock=clock)
            store.repair()
            # Loads after the backup are lost, and their numbers are given again: whoever kept one has to know.
            store.begin_epoch()
            if directory.exists():
                directory.rmdir()
            draft.replace(directory)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return manifest


def _publish(draft: Path, manifest: Manifest) -> None:
    """Lead readers to the published file: inside the store, until a run of its own moves it to ``publish_to``."""
    place, copy = Place(draft), draft / "making-published.tmp"
    (draft / manifest.published).replace(copy)
    shutil.rmtree(place.directory, ignore_errors=True)  # made private by unpacking
    place.make()
    place.lead_to(place.let_read(copy, manifest.figures.commit))


def _check(draft: Path, manifest: Manifest) -> None:
    found = figures(draft / manifest.published)
    for what in ("schema", "commit", "tables", "sums"):
        written, read = getattr(manifest.figures, what), getattr(found, what)
        if written != read:
            raise StoreError(
                f"The backup's {what} do not agree: {written} when it was made, {read} now. Nothing was restored.",
                hint="Use another backup.",
            )
