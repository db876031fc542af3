"""`twistd imsuite` as operators meet it: what stops the start, SIGHUP, SIGTERM, the log."""

import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import pytest

from imsuite.testing.server import TestAccount
from tests.app.pems import pem
from tests.clients import Client

DAY = 86400  # seconds
OPEN = []  # a socket that listens


@pytest.fixture(scope="module", autouse=True)
def another_program():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        OPEN.append(listening)
        yield
    OPEN.clear()


def wrong_word(config, tmp_path):
    return config("drain_second = 3"), r'imsuite.toml:4: .*did you mean "drain_seconds"\?'


def wrong_type(config, tmp_path):
    return config('drain_seconds = "3"'), r"imsuite.toml:4: .*must be a whole number, not \"3\""


def wrong_bound(config, tmp_path):
    return config("drain_seconds = -3"), r"imsuite.toml:4: .*-3 must be at least 0"


def no_file(config, tmp_path):
    return tmp_path / "absent.toml", r"absent.toml: No such file or directory"


def busy_port(config, tmp_path):
    port = OPEN[0].getsockname()[1]
    file = config(listen=f'["c2s:127.0.0.1:{port}"]')
    return file, rf"cannot listen on 127.0.0.1:{port}: another program listens there"


def certificate(config, tmp_path, options):
    lines = "\n".join(f'{name} = "{file}"' for name, file in options.items())
    return config(rest=f'[hosts."localhost"]\n{lines}')


def unreadable_key(config, tmp_path):
    options = {"certificate": pem(tmp_path / "a.pem"), "key": tmp_path / "absent.key"}
    return certificate(config, tmp_path, options), r"absent.key: cannot read the private key"


def expired_certificate(config, tmp_path):
    file = pem(tmp_path / "a.pem", now=time.time() - 900 * DAY)
    return certificate(config, tmp_path, {"certificate": file}), r"a.pem: .* expired on"


def mismatched_certificate(config, tmp_path):
    file = pem(tmp_path / "a.pem", "example.net")
    return (
        certificate(config, tmp_path, {"certificate": file}),
        r"a.pem: the certificate is for example.net, not for localhost",
    )


def key_of_another(config, tmp_path):
    options = {"certificate": pem(tmp_path / "a.pem"), "key": pem(tmp_path / "b.pem")}
    return certificate(config, tmp_path, options), r"b.pem: this private key does not belong"


def newer_database(config, tmp_path):
    file = config()
    (tmp_path / "data").mkdir(mode=0o700)
    with sqlite3.connect(tmp_path / "data/imsuite.db") as database:
        database.execute("CREATE TABLE imsuite_meta (word TEXT PRIMARY KEY, value TEXT)")
        database.execute("CREATE TABLE imsuite_steps (name, step, digest, applied, version)")
        database.execute("INSERT INTO imsuite_meta VALUES ('format', '99')")
    database.close()
    return file, r"imsuite.db was made by a newer version of imsuite"


def data_that_is_no_directory(config, tmp_path):
    (tmp_path / "data").write_text("")
    return config(), r"data: the data directory can not be made"


def deaf_control(config, tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data/control").write_text("")
    return config(), r"data/control: this is not a socket; move it away"


@pytest.mark.parametrize(
    "mistake",
    [
        wrong_word,
        wrong_type,
        wrong_bound,
        no_file,
        busy_port,
        unreadable_key,
        expired_certificate,
        mismatched_certificate,
        key_of_another,
        newer_database,
        data_that_is_no_directory,
        deaf_control,
    ],
)
def test_a_start_that_fails_says_why_in_one_line(mistake, config, tmp_path, launch):
    """Exit status 1, and nothing else on standard error."""
    file, pattern = mistake(config, tmp_path)
    process = launch(file)
    process.until("^imsuite: .*" + pattern)
    assert process.ended() == 1
    said = [line for line in process.lines if not line.startswith("20")]  # not the log
    assert len(said) == 1
    assert "Traceback" not in "\n".join(process.lines)


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


def test_sighup_takes_a_new_certificate_and_live_options(config, tmp_path, launch):
    file = certificate(config, tmp_path, {"certificate": pem(tmp_path / "a.pem")})
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


def test_sighup_with_a_mistake_changes_nothing(config, tmp_path, launch):
    file = certificate(config, tmp_path, {"certificate": pem(tmp_path / "a.pem")})
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
        assert "data/imsuite.db" in again.stderr  # twistd passes on 100 bytes
        said = f"imsuite.db is in use: another imsuite (process {process}) runs on it"
        assert said in (tmp_path / "b.log").read_text()
    finally:
        gone = os.pidfd_open(process)
        os.kill(process, signal.SIGTERM)
        assert select.select([gone], [], [], 30)[0]
        os.close(gone)
    assert "Server Shut Down" in (tmp_path / "a.log").read_text()
