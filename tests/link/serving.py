"""``connector serve --schedule`` as a process, shops behind a sandbox that asks, and an endpoint that is told."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import yaml

from connector.api.state import TABLES
from connector.cli.processes.listening import listen
from connector.config import load_config
from connector.control.file import ControlFile
from connector.link.linking import linking_of
from tests.link.lender import START

ROOT = Path(__file__).resolve().parents[2]
NEXT = "/connected"


class Ear:
    """A lender's endpoint for webhooks, and the page merchants are led back to."""

    def __init__(self):
        ear = self
        self.heard, self.landed = [], []

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                ear.heard.append(json.loads(body))
                self.answer(b"")

            def do_GET(self):
                ear.landed.append((self.path, self.headers.get("referer")))
                self.answer(b"<!doctype html><title>Lender</title><h1>Back at the lender</h1>")

            def answer(self, body):
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def types(self, company_id):
        return [
            one["eventType"] for one in self.heard if one["payload"]["referenceCompany"]["id"] == company_id
        ]


class Serving:
    """The server as an operator runs it; it can be killed and begun again."""

    def __init__(self, directory, clover, ear):
        with listen("127.0.0.1", 0, hint="") as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.clover, self.ear, self.directory = clover, ear, directory
        app = {"region": "na", "client_id": clover.access.client_id, "client_secret": "${APP_SECRET}",
               "base_url": clover.base_url}  # fmt: skip
        self.path = directory / "config.yaml"
        self.path.write_text(yaml.safe_dump({
            "store": "./store", "private_networks": ["127.0.0.0/8"], "api": {"port": self.port},
            "limits": {"requests_per_second": 1000, "app_requests_per_second": 1000},
            "link": {"name": "Example Lending", "apps": [app], "redirect_url": f"{self.url}/link/callback",
                     "redirects": [f"{ear.url}{NEXT}"], "start_date": START.isoformat()},
        }))  # fmt: skip
        self.env = {"APP_SECRET": clover.access.client_secret}
        self.process = None

    def start(self, **environment):
        self.log = (self.directory / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "connector", "--log-format", "json", "--verbose", "--config", str(self.path),
             "serve", "--schedule"],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | self.env | environment, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        eventually(self.is_up, "the server is up")
        return self

    def is_up(self):
        assert self.process.poll() is None, (self.directory / "server.log").read_text()[-2000:]
        try:
            return httpx.get(f"{self.url}/health/live", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)
            self.process = None

    def died(self):
        """Whether it ended by itself, as killed."""
        return self.process.wait(timeout=20) == -9

    @property
    def config(self):
        return load_config(self.path, self.env)

    @property
    def linking(self):
        return linking_of(self.config)

    def control(self):
        return ControlFile(self.directory / "store", *TABLES)


def eventually(condition, what, *, seconds=30):
    """Wait until another process has done something; what the condition gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found
