"""The examples and the documented ways to start work."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.ports import free_port, free_ports
from imsuite.app.registry import all_features
from imsuite.testing.memory import MemoryServer
from tests.helpers import holds

ROOT = Path(__file__).parents[1]
PATIENCE = 20  # seconds
HEADER = (
    b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)


@contextlib.contextmanager
def running(arguments, folder, **environment):
    """Run twistd until it says that it serves; yield what it printed until then."""
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed = ""
    try:
        for line in process.stdout:
            printed += line
            if "imsuite serves" in line:
                break
        else:
            pytest.fail(f"it did not start:\n{printed}")
        yield printed
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=PATIENCE)
    assert "Server Shut Down" in rest
    assert process.returncode == -signal.SIGTERM  # twistd ends as the signal would have ended it


def answers(port):
    """Open a stream and tell whether STARTTLS is offered."""
    with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as sock:
        sock.sendall(HEADER)
        seen = b""
        while b"</stream:features>" not in seen:
            data = sock.recv(4096)
            assert data, seen
            seen += data
    return b"<starttls" in seen


def test_the_embedding_example_serves_a_page_and_a_stream(tmp_path):
    """docs/embedding.md: the server is a service among others."""
    port, web_port = map(str, free_ports(2))
    tac = str(ROOT / "examples" / "embedded.tac")
    with running(["-y", tac], tmp_path, PORT=port, WEB_PORT=web_port):
        assert answers(port)
        with socket.create_connection(("127.0.0.1", int(web_port)), PATIENCE) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"200 OK" in sock.recv(4096)


def test_the_five_lines_of_the_document_start_a_server(tmp_path):
    """docs/embedding.md: what it prints is what runs."""
    text = (ROOT / "docs" / "embedding.md").read_text()
    lines = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    port = str(free_port())
    config = tmp_path / "imsuite.toml"
    config.write_text(f'[server]\nlisten = ["c2s:127.0.0.1:{port}"]\ndata = "{tmp_path}/data"\n')
    tac = tmp_path / "five.tac"
    tac.write_text(lines.replace("/etc/imsuite/imsuite.toml", str(config)))
    with running(["-y", str(tac)], tmp_path):
        assert answers(port)


def test_the_feature_of_the_document_works(monkeypatch):
    """docs/writing-a-feature.md: its header and its answer are a feature as they stand there."""
    text = (ROOT / "docs" / "writing-a-feature.md").read_text()
    header, answer = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[:2]
    module = ModuleType("xep0092_version")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(f"{header}\n{answer}", vars(module))
    monkeypatch.setitem(all_features(), "version", module.Version)
    server = MemoryServer(options={"version": {"show_system": True}})
    romeo = server.login("romeo@example.org/orchard")
    (got,) = romeo.says(
        "<iq type='get' id='1' to='example.org'><query xmlns='jabber:iq:version'/></iq>"
    )
    server.stop()
    assert server.failures.take() == []
    assert holds(got, "<iq type='result'><query xmlns='jabber:iq:version'><os/></query></iq>")


def test_the_systemd_unit_lets_the_server_start():
    """Section 1 of the plan: the unit's own command, and nothing that TLS could not live with."""
    lines = (ROOT / "etc" / "imsuite.service").read_text().splitlines()
    (command,) = [line for line in lines if line.startswith("ExecStart=")]
    assert command.endswith("twistd -n --pidfile= imsuite --config /etc/imsuite/imsuite.toml")
    assert not [line for line in lines if line.startswith("MemoryDenyWriteExecute=")]
