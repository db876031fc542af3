"""Sessions that are about to be gone."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import UNBOUND


class Slow(Feature):
    """Has something to do when somebody goes, which takes a while."""

    spec = "XEP-0000"

    @classmethod
    def word(cls):
        return "slow"

    def __init__(self, host, options):
        super().__init__(host, options)
        self.works = []

    @on(UNBOUND)
    async def gone(self, session):
        self.works.append(Deferred())
        await self.works[-1]


@pytest.mark.server(features=["default", Slow])
def test_one_can_wait_for_all_who_go(server, host, romeo, juliet):
    """Architecture §10: the store closes when features have stored what they had to."""
    works = host.features["slow"].works
    romeo.closes()
    juliet.closes()
    finished = Deferred.fromCoroutine(host.departures.finished())
    assert len(works) == 2
    for work in works:
        assert not finished.called
        work.callback(None)
    assert finished.called


def test_nobody_waits_where_nobody_goes(host, romeo):
    assert Deferred.fromCoroutine(host.departures.finished()).called
