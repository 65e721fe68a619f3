import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sync_bench import benches


@pytest.fixture
def bench(tmp_path):
    """Make a bench: ``bench(world=…, shapes=…, name=…, sandbox=…, **sync settings)``."""
    yield from benches(tmp_path)


@pytest.fixture(scope="module")
def module_bench(tmp_path_factory):
    """As ``bench``, for a bench that the tests of a module only look at."""
    yield from benches(tmp_path_factory.mktemp("bench"))
