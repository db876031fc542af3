"""A client in memory that speaks XEP-0198: it counts, resends, and comes back on a new link."""

import re

from imsuite.testing.memory import MemoryClient, now
from imsuite.testing.memory_link import MemoryTls
from imsuite.xmpp import ns as NS

NS_SM = "urn:xmpp:sm:3"


class Managed:
    """A client of a server in memory.

    id: by which its session can be resumed; got: stanzas it received, as text, over all links;
    sent: those it sent that were not acknowledged yet; counted: how many it received since
    <enabled/>.
    """

    def __init__(self, server, jid, *, resume=True, **login):
        self.server = server
        self.client = server.login(jid, **login)
        self.jid = self.client.jid
        self.got = []
        self.sent = []
        self.counted = 0
        self.acked = 0
        self.id = None
        self.answers = True
        resume = "resume='true'" if resume else ""
        self.client.says(f"<enable xmlns='{NS_SM}' {resume}/>")
        self.enabled = self.client.stanzas[-1]
        assert self.enabled.kind == "enabled", self.client.received
        self.id = self.enabled.attrs.get("id")
        self.client.forget()

    def says(self, xml):
        """Send one stanza."""
        self.sent.append(xml)
        if not self.client.link.closed:
            self.client.says(xml)
        return self.reads()

    def reads(self):
        """Take what came; return the new stanzas as text."""
        fresh = []
        for stanza, text in zip(self.client.stanzas, self.client.received, strict=True):
            if stanza.ns == NS.CLIENT:
                self.counted += 1
                fresh.append(text)
            elif stanza.kind == "a":
                self._acknowledged(int(stanza.attrs["h"]))
        asked = any(stanza.kind == "r" for stanza in self.client.stanzas)
        self.client.forget()
        self.got += fresh
        if asked and self.answers and not self.client.link.closed:
            self.acknowledges()
            return fresh + self.reads()
        return fresh

    def asks(self):
        """Ask for the server's count; return it."""
        self.client.says(f"<r xmlns='{NS_SM}'/>")
        self.reads()
        return self.acked

    def acknowledges(self, h=None):
        """Say how many stanzas came."""
        self.client.says(f"<a xmlns='{NS_SM}' h='{self.counted if h is None else h}'/>")

    def _acknowledged(self, h):
        assert h >= self.acked, "the count goes back"
        del self.sent[: h - self.acked]
        self.acked = h

    def vanishes(self):
        """Lose the link. What was on its way may have arrived or not: here it has."""
        self.reads()
        self.client.vanishes()

    def connects(self, server=None):
        """Log in on a new link, without binding; the server may be another one by now."""
        self.server = server or self.server
        host = self.server.router.hosts[self.jid.domain]
        link = self.server.connect(MemoryTls())
        stream = link.receiver
        stream.host = host
        stream.authenticated(now(host.account(self.jid.local)), lambda: None)
        self.client = MemoryClient(self.server, self.jid, link, stream)
        self.client.opens()
        self.client.forget()

    def resumes(self, server=None, *, id=None, h=None):
        """Come back on a new link; return the answer, and send again what was not handled."""
        self.connects(server)
        h = self.counted if h is None else h
        self.client.says(f"<resume xmlns='{NS_SM}' previd='{id or self.id}' h='{h}'/>")
        answer = self.client.stanzas[0]
        if answer.kind == "resumed":
            self._acknowledged(int(answer.attrs["h"]))
            self.reads()
            for xml in list(self.sent):
                self.client.says(xml)
            self.reads()
        return answer

    @property
    def bodies(self):
        """The bodies of the messages it got."""
        return [m[1] for text in self.got if (m := re.search("<body>(.*?)</body>", text))]
