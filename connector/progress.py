"""How a run tells whoever is watching how far it is. What a terminal or a log makes of it is theirs.

A run goes through the stages below, once for each connection. Connections may run at the same time, so
each one asks for a ``Progress`` of its own with ``of`` and reports only there.
"""

from typing import Literal, Protocol

Stage = Literal["extract", "hydrate", "map", "load", "publish"]

STAGES: dict[Stage, str] = {
    "extract": "reading lists",
    "hydrate": "reading single records",
    "map": "mapping orders",
    "load": "writing the snapshot",
    "publish": "publishing",
}


class Progress(Protocol):
    """Somebody who wants to know how far a run is. Calls are cheap and never raise."""

    def of(self, label: str) -> "Progress":
        """A Progress for one connection, named ``label`` on the screen and in the log."""
        ...

    def stage(self, name: Stage, *, total: int | None = None) -> None:
        """The run has entered a stage; ``total`` is how much it has to do, None if unknown."""
        ...

    def advance(self, n: int = 1) -> None:
        """``n`` more of the stage's total are done: days of lists, else records."""
        ...

    def rows(self, n: int) -> None:
        """``n`` more rows of lists were read; how far the lists are is told by ``advance``."""
        ...


class Silent:
    """Nobody is watching."""

    def of(self, label: str) -> Progress:  # noqa: ARG002 - the Protocol's parameter
        return self

    def stage(self, name: Stage, *, total: int | None = None) -> None:
        pass

    def advance(self, n: int = 1) -> None:
        pass

    def rows(self, n: int) -> None:
        pass
