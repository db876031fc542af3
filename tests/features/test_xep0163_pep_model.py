"""XEP-0163 §4 as one rule: whatever was done before, an event reaches whom it should, only."""

from hypothesis import given, settings
from hypothesis import strategies as st

from imsuite.core.interfaces import IRoster
from imsuite.testing.memory import MemoryServer
from tests.eventing import TUNE, comes, configure, events, ids, presence, publish

ROMEO = "romeo@example.org"
CONTACTS = ("juliet@example.org", "paris@example.org")
ACCESS = ("open", "presence", "roster", "whitelist")
DEEDS = (
    "asks to see",
    "is let see",
    "is not let see",
    "is blocked",
    "is unblocked",
    "blocks",
    "unblocks",
    "comes",
    "goes",
    "is put into the group",
    "is taken out of the group",
    "shares presence",
)
BLOCK = "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{}'/></block></iq>"
UNBLOCK = BLOCK.replace("block ", "unblock ").replace("/block>", "/unblock>")
GROUP = (
    "<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='{}'>{}</item></query></iq>"
)
FRIENDS = "<group>Friends</group>"


class Verona:
    """Romeo, who publishes, and two who may hear of it."""

    def __init__(self):
        self.server = MemoryServer()
        self.romeo = self.server.login(f"{ROMEO}/orchard")
        self.roster = self.server.host.find_feature(IRoster)
        self.account = self.server.host.accounts["romeo"]
        self.clients = {jid: self.server.login(f"{jid}/x", available=False) for jid in CONTACTS}
        self.access, self.count = "presence", 0
        self.blocked, self.blocking = set(), set()
        self.there, self.sharing = set(), set()
        # their capabilities are known from here on, so that nobody is asked
        for client in self.clients.values():
            comes(client, TUNE)
            client.says("<presence type='unavailable'/>")
        self.publish()

    def may_hear(self, jid):
        """Tell whether somebody should hear of what is published now (§4)."""
        item = self.roster.item(self.account, jid)
        sees = item is not None and bool(item.state.from_)
        if jid in self.blocked | self.blocking or jid not in self.there | self.sharing:
            return False
        if self.access == "open":
            return sees or jid in self.sharing
        if self.access == "roster":
            return sees and "Friends" in item.groups
        return sees and self.access == "presence"

    def publish(self):
        """Publish; exactly those who should hear do."""
        self.forget()
        self.count += 1
        self.romeo.says(publish(TUNE, item=f"i{self.count}"))
        for jid, client in self.clients.items():
            wanted = [f"i{self.count}"] if self.may_hear(jid) else []
            assert ids(client, TUNE) == wanted, (jid, self.access)

    def configure(self, access):
        """Let others have access."""
        configure(self.romeo, TUNE, access_model=access, roster_groups_allowed="Friends")
        self.access = access

    def forget(self):
        for client in (self.romeo, *self.clients.values()):
            client.forget()

    def do(self, jid, deed):
        """Let something happen between Romeo and somebody."""
        client = self.clients[jid]
        self.forget()
        match deed:
            case "asks to see":
                client.says(f"<presence type='subscribe' to='{ROMEO}'/>")
            case "is let see":
                self.romeo.says(f"<presence type='subscribed' to='{jid}'/>")
            case "is not let see":
                self.romeo.says(f"<presence type='unsubscribed' to='{jid}'/>")
            case "is blocked":
                self.romeo.says(BLOCK.format(jid))
                self.blocked.add(jid)
            case "is unblocked":
                self.romeo.says(UNBLOCK.format(jid))
                self.blocked.discard(jid)
            case "blocks":
                client.says(BLOCK.format(ROMEO))
                self.blocking.add(jid)
                self.sharing.discard(jid)  # XEP-0191 §3.3: he sees her go
            case "unblocks":
                client.says(UNBLOCK.format(ROMEO))
                self.blocking.discard(jid)
            case "comes":
                self.comes(jid, client)
            case "goes":
                client.says("<presence type='unavailable'/>")
                self.there.discard(jid)
                self.sharing.discard(jid)
            case "is put into the group":
                self.romeo.says(GROUP.format(jid, FRIENDS))
            case "is taken out of the group":
                self.romeo.says(GROUP.format(jid, ""))
            case "shares presence" if jid not in self.blocked | self.blocking:
                client.says(f"<presence to='{ROMEO}'/>")
                self.sharing.add(jid)

    def comes(self, jid, client):
        """Come online, which brings the last item, if it was not so (§4.3.3)."""
        new = jid not in self.there
        client.says(presence(TUNE))
        self.there.add(jid)
        sees = self.roster.state(self.account, jid).from_
        theirs = self.roster.state(client.session.account, ROMEO)
        wanted = new and self.may_hear(jid) and bool(sees) and bool(theirs.to)
        assert bool(events(client, TUNE)) == wanted, (jid, self.access)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(CONTACTS), st.sampled_from(DEEDS)),
            st.sampled_from(ACCESS),
            st.just("publishes"),
        ),
        max_size=25,
    )
)
def test_event_reaches_whom_it_should(deeds):
    """§4, §7.1, XEP-0060 §4.5, §9.1"""
    verona = Verona()
    for deed in deeds:
        if deed == "publishes":
            verona.publish()
        elif deed in ACCESS:
            verona.configure(deed)
        else:
            verona.do(*deed)
    verona.publish()
    verona.server.stop()
    assert verona.server.failures.take() == []
