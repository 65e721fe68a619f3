"""How a run is begun: in a thread of its own, or as a test has it done."""

import threading
from collections.abc import Callable
from typing import Protocol


class Begin(Protocol):
    """Has a piece of work done, at once or in a thread."""

    def __call__(self, work: Callable[[], None], *, name: str) -> None: ...


def in_thread(work: Callable[[], None], *, name: str) -> None:
    """In a thread that does not keep the process alive: an abandoned run is repaired by the next one."""
    threading.Thread(target=work, name=name, daemon=True).start()
