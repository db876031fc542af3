"""Fixtures: a configuration file, imsuitectl, and imsuite as a process of its own."""

import os
import queue
import re
import ssl
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from imsuite.app.ctl import main

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30  # seconds for anything that a process is expected to do
BEGIN = "from twisted.scripts.twistd import run; run()"
LISTEN = '["c2s:127.0.0.1:0", "c2s-tls:127.0.0.1:0"]'


class Process:
    """`twistd -n imsuite`. lines: what it wrote so far; domain, host, port: for clients."""

    domain = "localhost"
    host = "127.0.0.1"

    def __init__(self, file, *words):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("COVERAGE_PROCESS_START", None)
        self.arguments = ["-n", "--pidfile=", *words, "imsuite", "--config", str(file)]
        self.popen = subprocess.Popen(
            [sys.executable, "-c", BEGIN, *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=file.parent,
            env=environment,
        )
        self.file = file
        self.lines = []
        self._queue = queue.SimpleQueue()
        self._threads = [
            Thread(target=self._read, args=(pipe,), daemon=True)
            for pipe in (self.popen.stdout, self.popen.stderr)
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, pipe):
        for line in pipe:
            self._queue.put(line.rstrip("\n"))
        pipe.close()

    def until(self, pattern):
        """Wait for a line with this in it, and return the match."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._queue.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {pattern!r} in\n" + "\n".join(self.lines)) from None
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found

    def started(self):
        """Wait until it listens."""
        found = self.until(r"serves .* on c2s:(\d+), c2s-tls:(\d+)")
        self.port, self.tls_port = int(found[1]), int(found[2])
        return self

    def ended(self):
        """Wait until it ends; return its exit status."""
        status = self.popen.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        while not self._queue.empty():
            self.lines.append(self._queue.get())
        return status

    def ssl_context(self):
        """Whoever answers, that is the server."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.ended()


def write_config(folder, server="", rest="", data=None, listen=LISTEN):
    """Write imsuite.toml in a folder; server: lines of [server]; rest: other tables."""
    file = folder / "imsuite.toml"
    file.write_text(
        f'[server]\nlisten = {listen}\ndata = "{data or folder / "data"}"\n{server}\n'
        f"[passwords]\niterations = 4096\n{rest}\n"
    )
    return file


@pytest.fixture
def config(tmp_path):
    """The function write_config, for the directory of the test."""
    return partial(write_config, tmp_path)


@pytest.fixture
def launch():
    """Start a process; whatever still runs is killed at the end."""
    made = []

    def start(file, *words):
        made.append(Process(file, *words))
        return made[-1]

    yield start
    for process in made:
        process.kill()


@pytest.fixture
def ctl():
    """Run imsuitectl in this process: ctl(file, *words, stdin="") → result of click."""

    def run(file, *words, stdin=""):
        return CliRunner().invoke(main, ["--config", str(file), *words], input=stdin)

    return run
