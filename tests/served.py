"""The server as its operator starts it, in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread

from benchmarks.ports import free_ports
from imsuite.app.commands import find
from imsuite.app.reaching import reach
from imsuite.app.tap import read_config

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]
PATIENCE = 30  # seconds
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)
# what is in the log when the server itself is wrong
FAULT = re.compile(r"Traceback|Unhandled|#(?:error|critical)\]")


class Served:
    """A running `twistd imsuite`.

    host, port, tls_port: where it listens; ca_file: PEM file with the certificates to trust.
    """

    host = "127.0.0.1"

    def __init__(self, config, ports, ca_file):
        self.config = str(config)
        self.port, self.tls_port = ports
        self.ca_file = str(ca_file)
        self._lines = []
        self._changed = Condition()
        self._start()

    def _start(self):
        self._ended = False
        self._process = subprocess.Popen(
            [BIN / "twistd", "-n", "--pidfile=", "imsuite", "--config", self.config],
            cwd=Path(self.config).parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = Thread(target=self._read, name="served", daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def log(self):
        """What it has logged."""
        with self._changed:
            return "".join(self._lines)

    def logs(self, pattern):
        """Wait until it has logged that."""

        def logged():
            return self._ended or any(re.search(pattern, line) for line in self._lines)

        with self._changed:
            self._changed.wait_for(logged, PATIENCE)
            found = any(re.search(pattern, line) for line in self._lines)
        assert found, f"{pattern} is not in the log:\n{self.log}"

    def ctl(self, *arguments, given=None):
        """Return what imsuitectl prints."""
        done = subprocess.run(
            [BIN / "imsuitectl", "--config", self.config, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, command, **given):
        """Return the rows of an administration command, as imsuitectl gets them."""
        with reach(read_config(self.config)) as reached:
            assert reached.running
            rows = reached.call(command, given).rows
        return [dict(zip(find(command).columns, row, strict=True)) for row in rows]

    def sessions(self, jid):
        """Return the sessions of an account or a resource."""
        return self.ask("sessions", jid=jid)

    def restart(self, ending):
        """End it by a signal, and start it again on what it left behind."""
        self._process.send_signal(ending)
        self._process.wait(PATIENCE)
        self._reader.join()
        self._process.stdout.close()
        with self._changed:
            self._lines.clear()
        self._start()
        self.logs("imsuite serves")

    def stop(self):
        """End it; everything has to be in order."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()
        assert "Server Shut Down" in self.log, self.log
        assert not FAULT.search(self.log), self.log


def _gather_certificates(folder, ca_file):
    """Put all certificates, without their keys, into one file."""
    texts = (file.read_text() for file in sorted(folder.rglob("*.pem")))
    ca_file.write_text("".join(part for text in texts for part in CERTIFICATE.findall(text)))


@contextmanager
def served(folder, hosts):
    """Start a server, and stop it at the end of the `with`.

    folder: an empty one; hosts: text of the configuration's [hosts] and what follows.
    """
    ports = free_ports(2)
    listen = json.dumps([f"c2s:127.0.0.1:{ports[0]}", f"c2s-tls:127.0.0.1:{ports[1]}"])
    config = folder / "imsuite.toml"
    config.write_text(f'[server]\nlisten = {listen}\ndata = "{folder}/data"\n{hosts}')
    server = Served(config, ports, folder / "trusted.pem")
    try:
        server.logs("imsuite serves")
        _gather_certificates(folder, folder / "trusted.pem")
        yield server
    finally:
        server.stop()
