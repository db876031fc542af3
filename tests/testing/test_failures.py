"""Exceptions that are logged while a test runs."""

from twisted.logger import Logger

from imsuite.testing.failures import Failures


def test_exceptions_are_noted_while_it_watches():
    log, failures = Logger(), Failures()

    def fail():
        try:
            raise KeyError("x")
        except KeyError:
            log.failure("it failed")

    fail()
    failures.watch()
    log.error("no exception")
    fail()
    failures.stop()
    fail()
    (text,) = failures.take()
    assert "KeyError: 'x'" in text
    assert failures.take() == []
