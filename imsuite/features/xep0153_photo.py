"""XEP-0153: vCard-Based Avatars.

Clients would have to fetch their own card at each login to know the hash they are to announce;
so the server puts it into their presence (XEP-0398 §4).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from zope.interface import implementer

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import OUTGOING, PHOTO_CHANGED, UNBOUND, Passing, PhotoChange, Stage
from imsuite.core.host import Host
from imsuite.core.interfaces import ISessionState
from imsuite.core.keeping import IVCards
from imsuite.core.session import Session
from imsuite.rules.avatars import announcing, keeps_silent, silenced
from imsuite.xmpp.stanza import Stanza


@implementer(ISessionState)
class Photo(Feature):
    """Say in the presence of clients which photo is in the card of their user."""

    spec = "XEP-0153 1.1.1"
    requires = (IVCards,)

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        self._silent: set[Session] = set()  # they say themselves that they show no avatar

    @cached_property
    def _vcards(self) -> Any:  # what provides IVCards
        return self.host.find_feature(IVCards)

    @on(OUTGOING, Stage.AMEND, kind="presence", type=None)
    def announce(self, passing: Passing) -> Stanza | None:
        """§4.1, XEP-0398 §4: also in directed presence, such as that to rooms."""
        stanza, session = passing.stanza, passing.session
        if session is not None and "to" not in stanza.attrs:
            self._note(session, keeps_silent(stanza))
        return announcing(stanza, self._vcards.photo_hash(passing.account))

    def _note(self, session: Session, silent: bool) -> None:
        if silent is (session in self._silent):
            return
        if silent:
            self._silent.add(session)
        else:
            self._silent.discard(session)
        session.changed(hurry=False)

    @on(PHOTO_CHANGED)
    async def renew(self, change: PhotoChange) -> None:
        """§4.1: contacts hear of another photo at once, by the last presence said again."""
        for session in list(change.account.available):
            presence = session.presence
            if presence is None or session in self._silent:
                continue
            passing = Passing(silenced(presence), change.account, session.jid, session)
            later = self.host.leave(passing)
            if later is not None:
                await passing.wait(later)
            passing.complete()

    @on(UNBOUND)
    def forget(self, session: Session) -> None:
        """A session that ended says nothing any more."""
        self._silent.discard(session)

    def freeze(self, session: Session) -> bool | None:
        """Return whether the client shows no avatar."""
        return session in self._silent or None

    def thaw(self, session: Session, value: bool) -> None:
        """Go on saying nothing for a session that was restored."""
        self._silent.add(session)
