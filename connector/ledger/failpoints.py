"""Named places where a test may kill the process, to see that what is left behind can be repaired."""

import os
import signal

VARIABLE = "CONNECTOR_FAILPOINT"


def failpoint(name: str) -> None:
    """Die here, as by ``kill -9``, when the environment names this place. Otherwise nothing."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
