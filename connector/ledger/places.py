"""Where the published copies lie, what they are called, and who may read them.

    PLACE/000000042/commerce.duckdb   the copy of one commit, never changed
    PLACE/000000042/commerce.duckdb.wal   what small loads have added to it, see ``publish``; not always there
    PLACE/commerce.duckdb             link to the newest of them, swapped by a publication
    STORE/commerce.duckdb             link to that link: who knows the store finds the newest copy

PLACE is ``STORE/published``, behind the mode of the store's own directory, or what ``publish_to`` names: then it
holds nothing but these copies, and whoever may enter it can read sales but no raw payloads, keys or the writer's file.
DuckDB calls an attached file by its name after all links are followed; that is ``commerce`` for every copy, so what
analysts saved as ``commerce.main.orders`` stays good. Up to 1.4 it looks for the log beside the link instead; so there
is a link to the log as well. Stores of the first version kept
``STORE/serve-000000042.duckdb``; such copies are still read, and go as newer ones come.
"""

import grp
import os
import re
from collections.abc import Iterator
from pathlib import Path

from connector.errors import StoreError
from connector.files import flush, replace_private
from connector.ledger.database import log_of
from connector.ledger.interface import LINK, PublishTo

_INSIDE = "published"
_COMMIT = re.compile(r"^\d{9,}$")
_BEFORE = re.compile(r"^serve-(\d{9,})\.duckdb$")
_LEFTOVERS = ("publishing-*.tmp*", "link-*.tmp")
# In a place outside the store: whose copies these are. Two stores in one place would show each other's sales.
_OWNER = ".published-by"
# In the store: every place outside of it that may hold copies of it.
_OUTSIDE = "locks/published-to"


def published_file(directory: Path) -> Path | None:
    """The immutable file that the store's link leads to; None when there is no link, or it leads to nothing."""
    try:
        return (directory / LINK).resolve(strict=True)
    except (OSError, RuntimeError):  # missing, dangling, or a loop
        return None


def door(directory: Path) -> Path:
    """The link that analysts open: that of the place outside the store where there is one, else the store's own."""
    try:
        leads_to = (directory / LINK).readlink()
    except OSError:
        return directory / LINK
    return leads_to if leads_to.is_absolute() else directory / LINK


def commit_of(copy: Path) -> int | None:
    """The commit that a published file is a copy of, by its name; None for other files."""
    if copy.name == LINK:
        return int(copy.parent.name) if _COMMIT.match(copy.parent.name) else None
    found = _BEFORE.match(copy.name)
    return int(found[1]) if found else None


def name_in_store(commit: int) -> str:
    """How the copy of a commit is called in a store that publishes inside itself."""
    return f"{_INSIDE}/{commit:09d}/{LINK}"


class Place:
    """One directory of copies of one store. See the module."""

    def __init__(self, store: Path, publish_to: PublishTo | None = None) -> None:
        self._store = store.absolute()
        self._outside = publish_to
        self.directory = store / _INSIDE if publish_to is None else publish_to.directory

    @property
    def link(self) -> Path:
        return self.directory / LINK

    @property
    def _mode(self) -> int:
        return 0o444 if self._outside is None else self._outside.mode

    def is_led_to(self) -> bool:
        """Whether the store's link leads here and on to a copy, and the link to its log likewise."""
        copy = published_file(self._store)
        if copy is None or not self._is_way():
            return False
        log = log_of(self.link)
        return log.resolve() == log_of(copy) if log_of(copy).exists() else not log.exists()

    def lets_read(self, copy: Path) -> bool:
        """Whether those who may read this place may read a file that is here already."""
        found = copy.stat()
        is_groups = self._outside is None or found.st_gid == group_of(self._outside)
        return is_groups and found.st_mode & 0o777 == self._mode

    def _is_way(self) -> bool:
        try:
            links = (self._store / LINK).readlink(), log_of(self._store / LINK).readlink()
        except OSError:
            return False
        return links == (self._way(), log_of(self._way()))

    def copy_of(self, commit: int) -> Path:
        """The path of the copy of a commit, there or not."""
        return self.directory / f"{commit:09d}" / LINK

    def copies(self) -> list[Path]:
        """The published files that are here."""
        return [path for path in self.directory.glob(f"*/{LINK}") if commit_of(path) is not None]

    def leftovers(self) -> list[Path]:
        """Files that a process is making here, or did not finish before it was killed."""
        return [path for pattern in _LEFTOVERS for path in self.directory.glob(pattern)]

    def make(self) -> None:
        """Make the place, and say in it whose it is. Raises StoreError when it is another store's, OSError."""
        if not self.directory.is_dir():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._let_in(self.directory)
        if self._outside is None:
            return
        if not self.is_of(self._store):
            other = self._owner()
            if other is not None and _leads_to(other / LINK, self.link):
                raise StoreError(
                    f"{self.directory} is where the store {other} publishes. Nothing was published.",
                    hint=f"Give each store a publish_to of its own. If this store replaces that one: rm {other / LINK}",
                )
            replace_private(self.directory / _OWNER, f"{self._store}\n".encode())
        others = places_outside(self._store)
        if self.directory not in others:
            note_outside(self._store, [*others, self.directory])

    def is_of(self, store: Path) -> bool:
        """Whether the copies here are those of a store."""
        return self._outside is None or self._owner() == store.absolute()

    def let_read(self, file: Path, commit: int) -> Path:
        """Give a finished copy its name, under which those who may enter can read it. OSError, StoreError."""
        target = self.copy_of(commit)
        if not target.parent.is_dir():
            target.parent.mkdir(mode=0o700)
            self._let_in(target.parent)
        self._give_to_group(file)
        file.chmod(self._mode)
        flush(file)
        log_of(target).unlink(missing_ok=True)  # of a killed process, which led nobody here
        file.replace(target)
        flush(target.parent)
        flush(self.directory)
        return target

    def let_read_linked(self, copy: Path, commit: int) -> Path:
        """The same for a copy that has its log beside it, in a directory of its own. OSError, StoreError."""
        log, target = log_of(copy), self.copy_of(commit)
        self._let_in(copy.parent)
        self._give_to_group(log)
        log.chmod(self._mode)
        flush(log)
        flush(copy.parent)
        copy.parent.rename(target.parent)
        flush(self.directory)
        return target

    def lead_to(self, copy: Path) -> None:
        """Swap the links, so that whoever opens one from now on finds this copy."""
        # Relative, so that the directory can be moved or mounted elsewhere.
        leads_to, log, log_link = copy.relative_to(self.directory), log_of(copy), log_of(self.link)
        if not log.exists():
            # Before the other link: the log of an older copy must never be read with this one.
            log_link.unlink(missing_ok=True)
        _swap(self.link, leads_to)
        if log.exists():
            _swap(log_link, log_of(leads_to))
        if not self._is_way():
            log_of(self._store / LINK).unlink(missing_ok=True)
            _swap(self._store / LINK, self._way())
            _swap(log_of(self._store / LINK), log_of(self._way()))

    def lead_nowhere(self) -> None:
        """Remove the links of this place."""
        log_of(self.link).unlink(missing_ok=True)
        self.link.unlink(missing_ok=True)

    def remove(self, copy: Path) -> None:
        """Remove a copy. Who has it open keeps reading it."""
        copy.unlink(missing_ok=True)
        log_of(copy).unlink(missing_ok=True)
        if copy.parent != self.directory:
            _remove_empty(copy.parent)

    def _way(self) -> Path:
        return Path(_INSIDE, LINK) if self._outside is None else self.link

    def _owner(self) -> Path | None:
        try:
            return Path((self.directory / _OWNER).read_text("utf-8").removesuffix("\n"))
        except FileNotFoundError:
            return None

    def _let_in(self, made: Path) -> None:
        self._give_to_group(made)
        # Who can read a file has to get through to it. Inside the store the store's own mode decides who that is.
        made.chmod(0o700 | (self._mode & 0o444) | (self._mode & 0o444) >> 2)

    def _give_to_group(self, path: Path) -> None:
        if self._outside is None:
            return
        group = group_of(self._outside)
        if path.stat().st_gid == group:
            return
        try:
            os.chown(path, -1, group)
        except PermissionError:
            raise StoreError(
                f"{path} could not be given to the group {_group_name(group)}. Nothing was published.",
                hint="The account that syncs has to be a member of that group: usermod -aG"
                f" {_group_name(group)} ACCOUNT (systemd: SupplementaryGroups={_group_name(group)}).",
            ) from None


class _Before(Place):
    """The copies of the first version, in the store's own directory."""

    def __init__(self, store: Path) -> None:
        super().__init__(store)
        self.directory = store

    def copies(self) -> list[Path]:
        return [path for path in self.directory.glob("serve-*.duckdb") if commit_of(path) is not None]


def all_places(store: Path) -> Iterator[Place]:
    """Every place that may hold copies of a store, wherever it publishes now."""
    yield _Before(store)
    yield Place(store)
    for directory in places_outside(store):
        place = Place(store, PublishTo(directory))
        if place.is_of(store):
            yield place


def places_outside(store: Path) -> list[Path]:
    """The directories beyond the store's own that it has published to and has not cleared yet."""
    try:
        return [Path(line) for line in (store / _OUTSIDE).read_text("utf-8").splitlines() if line]
    except FileNotFoundError:
        return []


def note_outside(store: Path, directories: list[Path]) -> None:
    """Remember where copies lie: written before the first is made there, so that none is ever forgotten."""
    replace_private(store / _OUTSIDE, "".join(f"{path}\n" for path in directories).encode())


def clear_others(store: Path, place: Place) -> None:
    """Empty the places outside the store that it published to before; one that cannot be reached stays noted.

    Copies inside the store go with the old ones: they are good to mend with until then.
    """
    if (inside := Place(store)).directory != place.directory:
        inside.lead_nowhere()
    kept = []
    for directory in places_outside(store):
        if directory == place.directory:
            kept.append(directory)
            continue
        other = Place(store, PublishTo(directory))
        try:
            if other.is_of(store):
                for path in [*other.copies(), *other.leftovers()]:
                    other.remove(path)
                other.lead_nowhere()
                (directory / _OWNER).unlink(missing_ok=True)
        except OSError:
            kept.append(directory)
    if kept != places_outside(store):
        note_outside(store, kept)


def group_of(publish_to: PublishTo) -> int:
    """The number of the group that may read: the one named, else that of the directory. StoreError, OSError."""
    if publish_to.group is None:
        return publish_to.directory.stat().st_gid
    if publish_to.group.isdigit():
        return int(publish_to.group)
    try:
        return grp.getgrnam(publish_to.group).gr_gid
    except KeyError:
        raise StoreError(
            f"publish_group: there is no group {publish_to.group} on this machine. Nothing was published.",
            hint=f"groupadd --system {publish_to.group}, or name another group.",
        ) from None


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _leads_to(link: Path, place: Path) -> bool:
    try:
        return link.readlink() == place
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # another account's store, most likely: not ours to replace


def _swap(link: Path, leads_to: Path) -> None:
    temporary = link.with_name(f"link-{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(leads_to)
    temporary.replace(link)
    flush(link.parent)


def _remove_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        return  # somebody keeps something of their own in it
