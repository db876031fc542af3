"""`twistd imsuite` as operators meet it: SIGHUP, SIGTERM, the log."""

import os
import select
import signal
import socket
import subprocess
import sys
import time

from imsuite.testing.server import TestAccount
from tests.app.pems import pem, with_certificate
from tests.clients import Client


def test_one_server_has_the_database(config, launch):
    """The second one says who has it, and leaves no trace of itself."""
    file = config()
    first = launch(file).started()
    second = launch(file)
    second.until(rf"^imsuite: .*imsuite.db is in use: .*\(process {first.popen.pid}\)")
    assert second.ended() == 1


def test_sigterm_says_goodbye_and_drains(config, launch, ctl):
    """RFC 6120 §4.9.3.19: clients are told; twistd then ends by the signal, as systemd expects."""
    file = config("drain_seconds = 5")
    process = launch(file).started()
    ctl(file, "adduser", "romeo@localhost", stdin="secret\n")
    account = TestAccount("romeo@localhost", "secret")
    client = Client(process).log_in(account, "orchard")
    process.popen.send_signal(signal.SIGTERM)
    said = client.rest()
    assert b"<system-shutdown" in said
    assert said.endswith(b"</stream:stream>")
    client.close()
    before = time.monotonic()
    assert process.ended() == -signal.SIGTERM
    assert time.monotonic() - before < 5
    assert "Traceback" not in "\n".join(process.lines)
    assert not (file.parent / "data/control").exists()


def test_sigterm_does_not_wait_longer_than_it_may(config, launch):
    """For a client that never closes: drain_seconds."""
    process = launch(config("drain_seconds = 1")).started()
    with socket.create_connection((process.host, process.port)):
        process.popen.send_signal(signal.SIGTERM)
        assert process.ended() == -signal.SIGTERM


def served(process):
    """Return the certificate that the server presents, DER."""
    with socket.create_connection((process.host, process.tls_port), 10) as plain:
        context = process.ssl_context()
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            return secure.getpeercert(True)


def test_sighup_takes_a_new_certificate_and_live_options(tmp_path, launch):
    file = with_certificate(tmp_path, {"certificate": pem(tmp_path / "a.pem")})
    process = launch(file).started()
    old = served(process)
    pem(tmp_path / "a.pem")
    text = file.read_text() + "[streams]\nkeepalive = 7\nrate = 5\n"
    file.write_text(text.replace("iterations = 4096", "iterations = 5000"))
    process.popen.send_signal(signal.SIGHUP)
    process.until(r"in effect: the certificate of localhost was read from .*/a.pem; it expires 20")
    process.until(r"in effect: \[streams\] rate: 131072 -> 5|in effect: \[streams\] keepalive")
    process.until(r"#warn.*needs a restart: \[passwords\] iterations: 4096 -> 5000")
    assert served(process) != old


def test_sighup_with_a_mistake_changes_nothing(tmp_path, launch):
    file = with_certificate(tmp_path, {"certificate": pem(tmp_path / "a.pem")})
    process = launch(file).started()
    old = served(process)
    pem(tmp_path / "a.pem", "example.net")
    process.popen.send_signal(signal.SIGHUP)
    process.until("not reloaded: .*a.pem: the certificate is for example.net")
    file.write_text(file.read_text() + "[stream]\n")
    process.popen.send_signal(signal.SIGHUP)
    process.until(r'not reloaded: .*imsuite.toml:9: \[stream\]: no such table; did you mean "str')
    assert served(process) == old


def test_the_log_has_what_its_level_allows(config, launch):
    """And takes another level while the server runs; the first account is told on stderr."""
    file = config('log_level = "warn"')
    process = launch(file)
    process.until("password  ")
    file.write_text(file.read_text().replace("warn", "info"))
    process.popen.send_signal(signal.SIGHUP)
    process.until(r"in effect: \[server\] log_level: 'warn' -> 'info'")
    assert not [line for line in process.lines[:-1] if line.startswith("20")]


def test_no_secret_is_in_the_log(config, launch, ctl):
    """Not even at the lowest level: passwords come through the socket and over the wire."""
    file = config('log_level = "debug"')
    process = launch(file).started()
    first = process.until(r"password  (\S+)")[1]
    ctl(file, "adduser", "romeo@localhost", stdin="sesame1\n")
    ctl(file, "passwd", "romeo@localhost", stdin="sesame2\n")
    ctl(file, "adduser", "--from", "-", stdin="juliet@localhost sesame3\n")
    ctl(file, "adduser", "romeo@nowhere", stdin="sesame4\n")
    Client(process).log_in(TestAccount("romeo@localhost", "sesame2"), "orchard").close()
    process.popen.terminate()
    process.ended()
    logged = [line for line in process.lines if line.startswith("20") or "sesame" in line]
    assert "sesame" not in "\n".join(logged)
    assert first not in "\n".join(logged)


def test_a_daemon_opens_its_store_and_tells_the_first_account(config, tmp_path, ctl):
    """After the fork: its first process ends when the server serves, or with 1 when it can not."""
    file = config()
    command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
    command += ["--rundir", str(tmp_path), "--pidfile", "a.pid", "--logfile", "a.log"]
    command += ["imsuite", "--config", str(file)]

    def start():
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    done = start()
    assert (done.returncode, done.stderr) == (0, "")
    process = int((tmp_path / "a.pid").read_text())
    try:
        deadline = time.monotonic() + 30
        while "a first account was made; read " not in (tmp_path / "a.log").read_text():
            assert time.monotonic() < deadline
        assert "admin@localhost\tyes" in ctl(file, "users").stdout
        told = tmp_path / "data/first-account"
        assert told.stat().st_mode & 0o777 == 0o600
        assert "admin@localhost" in told.read_text()
        password = told.read_text().split("password  ")[1].split()[0]
        assert password not in (tmp_path / "a.log").read_text()
        command[command.index("a.pid")] = "b.pid"
        command[command.index("a.log")] = "b.log"
        again = start()
        assert again.returncode == 1
        said = f"{tmp_path}/data/imsuite.db is in use: another imsuite (process {process})"
        assert f"RuntimeError: {said}"[:98] in again.stderr  # twistd passes on 100 bytes
        assert said in (tmp_path / "b.log").read_text()
    finally:
        gone = os.pidfd_open(process)
        os.kill(process, signal.SIGTERM)
        assert select.select([gone], [], [], 30)[0]
        os.close(gone)
    assert "Server Shut Down" in (tmp_path / "a.log").read_text()
