"""Runs the examples of a Markdown page as a reader would, one heading after the other.

Code blocks are run in order; a ``text`` block is what the block before it prints.

    ```sql      a query, run by `connector query` on the demo
    ```bash     a shell script      ```python   a script of its own
    A first line `-- file: NAME`, `# file: NAME` makes a block the content of a file instead.

`python tests/analytics/recipes.py docs/analysts.md` writes what the examples print into the page.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

WIDTH = "160"
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from connector.cli.entry import run  # noqa: E402 - found once the source tree is on the path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"^(?:--|#) file: (\S+)\n")


@dataclass(frozen=True)
class Block:
    """A code block: its language, its text, and where the text stands in the page."""

    language: str
    text: str
    start: int
    end: int


def sections(page):
    """Heading -> its code blocks, for headings that have any."""
    found = {}
    starts = [
        (match.start(), match[1].strip()) for match in re.finditer(r"^#+ (.+)$", _without_code(page), re.M)
    ]
    for match in _BLOCK.finditer(page):
        heading = [name for start, name in starts if start < match.start()][-1]
        found.setdefault(heading, []).append(Block(match[1], match[2], match.start(2), match.end(2)))
    return found


def _without_code(page):
    """The page with code blanked out, so that a comment in a script is no heading. Positions stay."""
    return _BLOCK.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), page)


def run_block(block, directory, environment):
    """What the block prints; '' for files. Raises CalledProcessError with what it said when it fails."""
    named = _FILE.match(block.text)
    if named:
        path = directory / named[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text[named.end() :])
        return ""
    if block.language == "sql":
        return _query(block.text, directory)
    command = {
        "bash": ["bash", "-euo", "pipefail", "-c", block.text],
        "python": [sys.executable, "-c", block.text],
    }[block.language]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=240
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _query(sql, directory):
    """`connector query`, in this process: starting Python for every query would take longer than all of them."""
    shown = io.StringIO()
    # The width of the page, whatever that of the terminal, or of a test runner's worker, is.
    with contextlib.redirect_stdout(shown), mock.patch.dict(os.environ, {"COLUMNS": WIDTH}):
        code = run(["--config", str(directory / "demo/config.yaml"), "query", sql])
    assert code == 0, sql
    return shown.getvalue()


def environment(directory):
    """PATH with this Python's programs and `connector` from the source tree, in front of everything else."""
    programs = directory / ".programs"
    programs.mkdir(exist_ok=True)
    script = programs / "connector"
    script.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "from connector.cli import main; main()" "$@"\n'
    )
    script.chmod(0o755)
    return os.environ | {
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "CONNECTOR_CONFIG": "demo/config.yaml",
        "COLUMNS": WIDTH,
        "UNDERWRITER": str(ROOT / "notebooks" / "underwriter.py"),
        "NO_COLOR": "1",
        "DO_NOT_TRACK": "1",
    }


def printed(blocks, directory):
    """(block, what it printed, the text block that claims it or None) for every block that is run."""
    variables = environment(directory)
    for number, block in enumerate(blocks):
        if block.language not in ("sql", "bash", "python", "yaml") or (
            block.language == "yaml" and not _FILE.match(block.text)
        ):
            continue
        after = blocks[number + 1] if number + 1 < len(blocks) else None
        yield (
            block,
            run_block(block, directory, variables),
            after if after and after.language == "text" else None,
        )


def comparable(text):
    """Without trailing blanks and blank lines at the ends."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def _rewrite(path):
    page = path.read_text()
    with tempfile.TemporaryDirectory() as temporary:
        first = Path(temporary)
        assert run(["demo", "--dir", str(first / "demo"), "--json"]) in (0, 3)
        changes = []
        for heading, blocks in sections(page).items():
            directory = first / re.sub(r"\W+", "-", heading)
            shutil.copytree(first / "demo", directory / "demo", symlinks=True)
            for _, text, claim in printed(blocks, directory):
                if claim:
                    changes.append((claim.start, claim.end, comparable(text) + "\n"))
        for start, end, text in sorted(changes, reverse=True):
            page = page[:start] + text + page[end:]
    path.write_text(page)


if __name__ == "__main__":
    _rewrite(Path(sys.argv[1]))
