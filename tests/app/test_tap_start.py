"""What stops the start of `twistd imsuite`: one clear line each, and exit status 1."""

import re
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.app.conftest import Process, write_config
from tests.app.pems import pem, with_certificate

DAY = 86400  # seconds
OPEN = []  # a socket that listens


def wrong_word(folder):
    return write_config(
        folder, "drain_second = 3"
    ), r'imsuite.toml:4: .*did you mean "drain_seconds"\?'


def wrong_type(folder):
    return write_config(
        folder, 'drain_seconds = "3"'
    ), r"imsuite.toml:4: .*must be a whole number, not \"3\""


def wrong_bound(folder):
    return write_config(folder, "drain_seconds = -3"), r"imsuite.toml:4: .*-3 must be at least 0"


def no_file(folder):
    return folder / "absent.toml", r"absent.toml: No such file or directory"


def busy_port(folder):
    port = OPEN[0].getsockname()[1]
    file = write_config(folder, listen=f'["c2s:127.0.0.1:{port}"]')
    return file, rf"cannot listen on 127.0.0.1:{port}: another program listens there"


def unreadable_key(folder):
    options = {"certificate": pem(folder / "a.pem"), "key": folder / "absent.key"}
    return with_certificate(folder, options), r"absent.key: cannot read the private key"


def expired_certificate(folder):
    file = pem(folder / "a.pem", now=time.time() - 900 * DAY)
    return with_certificate(folder, {"certificate": file}), r"a.pem: .* expired on"


def mismatched_certificate(folder):
    file = pem(folder / "a.pem", "example.net")
    return (
        with_certificate(folder, {"certificate": file}),
        r"a.pem: the certificate is for example.net, not for localhost",
    )


def key_of_another(folder):
    options = {"certificate": pem(folder / "a.pem"), "key": pem(folder / "b.pem")}
    return with_certificate(folder, options), r"b.pem: this private key does not belong"


def newer_database(folder):
    file = write_config(folder)
    (folder / "data").mkdir(mode=0o700)
    with sqlite3.connect(folder / "data/imsuite.db") as database:
        database.execute("CREATE TABLE imsuite_meta (word TEXT PRIMARY KEY, value TEXT)")
        database.execute("CREATE TABLE imsuite_steps (name, step, digest, applied, version)")
        database.execute("INSERT INTO imsuite_meta VALUES ('format', '99')")
    database.close()
    return file, r"imsuite.db was made by a newer version of imsuite"


def data_that_is_no_directory(folder):
    (folder / "data").write_text("")
    return write_config(folder), r"data: the data directory can not be made"


def deaf_control(folder):
    (folder / "data").mkdir(mode=0o700)
    (folder / "data/control").write_text("")
    return write_config(folder), r"data/control: this is not a socket; move it away"


MISTAKES = (
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
)


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Mistake → (status, lines, pattern) of its process; two run at a time."""

    def end(mistake):
        file, pattern = mistake(tmp_path_factory.mktemp(mistake.__name__))
        process = Process(file)
        try:
            return process.ended(), process.lines, pattern
        finally:
            process.kill()

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(2) as threads:
        OPEN.append(listening)
        found = dict(zip(MISTAKES, threads.map(end, MISTAKES), strict=True))
    OPEN.clear()
    return found


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_start_that_fails_says_why_in_one_line(mistake, ends):
    """And nothing else on standard error."""
    status, lines, pattern = ends[mistake]
    assert status == 1
    (said,) = [line for line in lines if not line.startswith("20")]  # not the log
    assert re.match("imsuite: .*" + pattern, said)
    assert "Traceback" not in "\n".join(lines)
