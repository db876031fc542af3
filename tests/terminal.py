"""A program in a terminal of its own: what is typed, and what stands on the screen."""

import contextlib
import errno
import fcntl
import os
import re
import struct
import subprocess
import termios
from threading import Condition, Thread
from time import monotonic

import pyte

LINES, COLUMNS = 200, 160  # enough that nothing scrolls away
PATIENCE = 20  # seconds


class NotSeen(AssertionError):
    """What was waited for did not appear; the text shows what did."""


class Terminal:
    """A program that believes somebody sits before it.

    A thread reads what the program writes, so it never waits for us.
    """

    def __init__(self, arguments, environment):
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._changed = Condition()
        self._ended = False
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        try:
            self._process = subprocess.Popen(
                arguments,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env={**environment, "TERM": "linux", "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        self._reader = Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def _read(self):
        stream = pyte.ByteStream(self._screen)
        while data := self._some():
            with self._changed:
                stream.feed(data)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _some(self):
        try:
            return os.read(self._ours, 65536)
        except OSError as why:
            if why.errno != errno.EIO:  # nobody has the other end any more
                raise
            return b""

    @property
    def text(self):
        """What stands on the screen, without the blanks at the ends of lines."""
        with self._changed:
            return self._text()

    def _text(self):
        return "\n".join(line.rstrip() for line in self._screen.display if line.strip())

    def types(self, line):
        """Type a line, and the key at its end."""
        os.write(self._ours, line.encode() + b"\r")

    def shows(self, *patterns, patience=PATIENCE):
        """Wait until one of these regular expressions is on the screen; return its match.

        Raises NotSeen after that many seconds, or when the program has ended.
        """
        until = monotonic() + patience
        with self._changed:
            while True:
                text = self._text()
                for pattern in patterns:
                    if match := re.search(pattern, text):
                        return match
                left = until - monotonic()
                if left <= 0 or self._ended:
                    state = "the program ended" if self._ended else "not in time"
                    raise NotSeen(f"{state}: {' | '.join(patterns)} is not on\n{text}")
                self._changed.wait(left)

    def close(self):
        """End the program."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self._process.kill()
        self._process.wait()
        self._reader.join()
        os.close(self._ours)
