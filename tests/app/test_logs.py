"""The log goes where twistd's options say, as far as its level allows."""

import pytest
from twisted.logger import Logger, LogLevel, LogLevelFilterPredicate

from imsuite.app.logs import observer, to_stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"nodaemon": True}, True),
        ({"nodaemon": True, "logfile": "-"}, True),
        ({"nodaemon": True, "logfile": "x"}, False),
        ({"nodaemon": True, "syslog": True}, False),
        ({"nodaemon": False}, False),
    ],
)
def test_only_a_program_in_the_foreground_logs_to_stdout(options, expected):
    assert to_stdout(options) is expected


def test_a_daemon_has_no_stdout():
    with pytest.raises(SystemExit, match="no standard output"):
        observer({"logfile": "-"}, LogLevelFilterPredicate())


def test_levels_decide_and_may_change(capsys):
    levels = LogLevelFilterPredicate(LogLevel.warn)
    log = Logger("x", observer=observer({"nodaemon": True}, levels))
    log.info("first")
    log.warn("second")
    levels.setLogLevelForNamespace("", LogLevel.info)
    log.info("third")
    said = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[2] for line in said] == ["second", "third"]
