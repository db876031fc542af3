"""Ten thousand strangers at the door of one server; run by test_faults.py as its own process.

Prints what they cost and how they were sent away.
"""

import re
import socket
import subprocess
import sys
from pathlib import Path

COUNT = 10_000
BY_ADDRESS = 400  # connections from each of 127.0.1.1, 127.0.1.2, …
HEADER = (
    b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)
CONFIG = """
[server]
listen = ["c2s:127.0.0.1:0"]
data = "{folder}/data"
max_connections = 20000

[streams]
login_seconds = 6
"""


def memory(process):
    """Return the resident memory of a process, KiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def features(sock):
    """Open a stream and wait for the features."""
    sock.sendall(HEADER)
    seen = b""
    while b"</stream:features>" not in seen:
        seen += sock.recv(4096)


def rest(sock):
    """Return what comes until the connection is closed."""
    seen = b""
    while data := sock.recv(4096):
        seen += data
    return seen


def main(folder):
    """Start a server, crowd it, and print what was seen."""
    config = Path(folder) / "imsuite.toml"
    config.write_text(CONFIG.format(folder=folder))
    twistd = Path(sys.executable).parent / "twistd"
    process = subprocess.Popen(
        [str(twistd), "-n", "--pidfile=", "imsuite", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout:
            if found := re.search(r"c2s:(\d+)", line):
                break
        port = int(found[1])
        crowd(process, port)
    finally:
        process.terminate()
        process.communicate(timeout=20)


def crowd(process, port):
    """Connect them all, measure, and see that one more gets in and the first are sent away."""
    strangers = []
    for number in range(COUNT):
        address = f"127.0.1.{1 + number // BY_ADDRESS}"
        if number == 100:
            before = memory(process)
        sock = socket.create_connection(("127.0.0.1", port), 20, (address, 0))
        strangers.append(sock)
        if number % 10 == 0:
            features(sock)  # some go as far as that
    last = socket.create_connection(("127.0.0.1", port), 20)
    features(last)
    print("connections:", len(strangers))
    print(f"KiB for each: {(memory(process) - before) / (COUNT - 100):.2f}")
    ended = rest(strangers[0])
    print("a stranger's stream ended with:", re.search(rb"<([a-z-]+) ", ended)[1].decode())
    for sock in strangers:
        sock.close()


if __name__ == "__main__":
    main(sys.argv[1])
