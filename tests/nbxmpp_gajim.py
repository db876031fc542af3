"""nbxmpp as Gajim 1.7 uses it, driven by tests/gajim.py.

At login it asks what Gajim asks, in that order, and so it does on the way into a room. Everything
else that a module of nbxmpp can do is asked for by `ask`. What it asked for, and how that was
answered, is told by `asked`.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # Debian's Python is isolated

from nbxmpp.errors import StanzaError
from nbxmpp.modules.discovery import get_disco_request, parse_disco_items
from nbxmpp.modules.mam import _make_rsm_query
from nbxmpp.modules.rsm import parse_rsm
from nbxmpp.namespaces import Namespace
from nbxmpp.protocol import JID, Iq, Message, NodeProcessed, Presence
from nbxmpp.simplexml import Node
from nbxmpp.structs import BookmarkData, DiscoIdentity, StanzaHandler
from nbxmpp.task import Task
from nbxmpp_client import Driven
from nbxmpp_values import plain, purged, values_made

FEATURES = [
    *(Namespace.MUC, Namespace.COMMANDS, Namespace.DISCO_INFO, Namespace.PING),
    *(Namespace.CONFERENCE, Namespace.VERSION, Namespace.CHATSTATES, Namespace.RECEIPTS),
    Namespace.AVATAR_METADATA + "+notify",
    Namespace.TUNE + "+notify",
    Namespace.NICK + "+notify",
    Namespace.BOOKMARKS_1 + "+notify",
    Namespace.OMEMO_TEMP_DL + "+notify",  # by its plugin
]
# what Gajim asks of a new room, where the room has it
PRIVATE = {
    "muc#roomconfig_allowinvites": True,
    "muc#roomconfig_publicroom": False,
    "muc#roomconfig_membersonly": True,
    "muc#roomconfig_persistentroom": True,
    "muc#roomconfig_whois": "anyone",
    "muc#roomconfig_moderatedroom": False,
    "muc#roomconfig_enablelogging": True,
    "allow_voice_requests": False,
    "public_list": False,
    "mam": True,
    "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites": True,
    "muc#roomconfig_enablearchiving": True,
}
SECOND = "%Y-%m-%dT%H:%M:%SZ"


class Gajim(Driven):
    """The client. settings: those of `Gajim` in tests/gajim.py."""

    def __init__(self, settings):
        super().__init__(settings)
        self.sending, self.client.send_stanza = self.client.send_stanza, self.send
        self.client.subscribe("stanza-received", self.received)
        self.client.register_handler(
            StanzaHandler("iq", self.pushed, typ="set", ns=Namespace.BLOCKING)
        )
        self.waiting = 0  # requests of the login without an answer
        self.requests = {}  # id → [to, what, condition or "result" or None until it is answered]
        self.curious = False  # whether somebody waits for them
        self.rooms = {}  # room → (nick, configuration of a new one or None)
        self.infos = {}  # address → what it is and can
        self.native = False  # where the bookmarks are
        self.last = None  # result of the last thing that was asked for

    def module(self, name):
        return self.client.get_module(name)

    def when(self, task, function):
        """Call a function with the result of a task, a StanzaError if it was refused."""

        def done(task):
            function(task.get_result())
            self.waiting -= 1
            if not self.waiting and self.module("EntityCaps").caps is not None:
                self.waiting = float("inf")
                self.tell("online", str(self.client.get_bound_jid()))

        self.waiting += 1
        # nbxmpp itself keeps only a weak reference, and forgets functions that nobody else has
        task.add_done_callback(done, weak=False)

    # requests and answers

    def send(self, stanza, *given, **more):
        """Send a stanza, as the client does, and note what it asks for."""
        id = self.sending(stanza, *given, **more)
        if isinstance(stanza, Iq) and stanza.getType() in ("get", "set"):
            child = stanza.getChildren()[0]
            parts = [child, *child.getChildren()[:1]]
            names = [child.getNamespace(), *(part.getName() for part in parts)]
            nodes = [node for part in parts if (node := part.getAttr("node"))]
            self.requests[id] = [str(stanza.getTo() or ""), " ".join(names + nodes), None]
        return id

    def received(self, client, signal, stanza):
        # nbxmpp knows so early only that it is an element
        if stanza.getName() == "iq" and (request := self.requests.get(stanza.getAttr("id"))):
            error = stanza.getTag("error")
            request[2] = error.getChildren()[0].getName() if error else "result"
            self.tell_asked()

    def do_asked(self):
        self.curious = True
        self.tell_asked()

    def tell_asked(self):
        asked = list(self.requests.values())
        if self.curious and all(answer for _, _, answer in asked):
            self.curious = False
            self.tell("asked", json.dumps(asked))
            self.requests.clear()

    # common/client.py: what happens at login

    def connected(self, *_):
        bare, domain = self.client.get_bound_jid().bare, self.settings["domain"]
        disco = self.module("Discovery")
        self.when(disco.disco_info(domain), self.knows_server)
        self.when(disco.disco_info(bare), self.knows_account)
        self.when(disco.disco_items(domain), self.has_items)

    def has_items(self, items):
        for item in items.items:
            if item.node is None:
                self.when(self.module("Discovery").disco_info(item.jid), self.knows_service)

    def knows_service(self, info):
        self.infos[str(info.jid)] = info
        self.tell("service", str(info.jid), info.identities[0].category)

    def knows_account(self, info):
        self.infos[str(info.jid)] = info
        wanted = {f"{Namespace.PUBSUB}#config-node-max", Namespace.BOOKMARKS_COMPAT_PEP}
        self.native = wanted <= set(info.features)
        caps = self.module("EntityCaps")
        identity = DiscoIdentity(category="client", type="pc", name="Gajim")
        caps.set_caps([identity], FEATURES, "https://gajim.org")
        self.send_presence()

    def knows_server(self, info):
        self.infos[str(info.jid)] = info
        if Namespace.CARBONS in info.features:
            enable = Iq("set")
            enable.setTag("enable", namespace=Namespace.CARBONS)
            self.client.send_stanza(enable)
        self.when(self.module("Delimiter").request_delimiter(), self.has_delimiter)

    def has_delimiter(self, delimiter):
        if delimiter is None:
            self.when(self.module("Delimiter").set_delimiter("::"), self.has_delimiter)
        else:
            self.when(self.module("Roster").request_roster(""), self.has_roster)

    def has_roster(self, roster):
        self.send_presence()
        kept = self.module("NativeBookmarks" if self.native else "PEPBookmarks")
        self.when(kept.request_bookmarks(), self.has_bookmarks)
        self.when(self.module("Annotations").request_annotations(), self.takes)
        self.when(self.module("Blocking").request_blocking_list(), self.takes)
        self.catch_up(self.client.get_bound_jid().bare, days=7)

    def has_bookmarks(self, bookmarks):
        if isinstance(bookmarks, Exception):  # there are none yet
            return
        for bookmark in bookmarks:
            if bookmark.autojoin:
                self.do_enter(str(bookmark.jid), bookmark.nick, bookmark.password)

    def catch_up(self, jid, days):
        start = datetime.now(UTC) - timedelta(days=days)
        self.when(self.module("MAM").make_query(jid, "q", start=start), self.takes)

    def takes(self, result):
        """Gajim does something with the result that a server does not see."""

    def send_presence(self, to=None, extend=(), **given):
        presence = Presence(to, **given)
        caps = self.module("EntityCaps").caps
        if caps is not None and "typ" not in given:
            presence.setTag("c", namespace=Namespace.CAPS, attrs=caps._asdict())
        for node in extend:
            presence.addChild(node=node)
        self.client.send_stanza(presence)

    # common/modules/muc.py: rooms

    def do_enter(self, room, nick, password=None):
        def found(info):
            if isinstance(info, Exception):
                self.tell("refused", room, info.condition)
                return
            self.infos[room] = info
            self.rooms[room] = nick, None
            self.join(room, nick, {"maxchars": "0"}, password)

        self.when(self.module("Discovery").disco_info(room), found)

    def do_create(self, room, nick, config):
        def found(info):  # there should be none yet
            if not isinstance(info, Exception) or info.condition != "item-not-found":
                self.tell("refused", room, "conflict")
                return
            self.rooms[room] = nick, config
            self.join(room, nick)

        self.when(self.module("Discovery").disco_info(room), found)

    def join(self, room, nick, history=None, password=None):
        presence = Presence(f"{room}/{nick}")
        entering = presence.setTag(Namespace.MUC + " x")
        if history:
            entering.setTag("history", history)
        if password:
            entering.setTagData("password", password)
        self.client.send_stanza(presence)

    def configure(self, room, config):
        def has_form(found):
            for var, value in (PRIVATE | config).items():
                if var in found.form.vars:
                    found.form[var].value = value
            self.when(self.module("MUC").set_config(found.jid, found.form), is_set)

        def is_set(result):
            self.when(self.module("Discovery").disco_info(room), knows)

        def knows(info):
            self.infos[room] = info
            self.is_in(room)

        self.when(self.module("MUC").request_config(room), has_form)

    def is_in(self, room):
        """Bookmark a room, and read what was said there."""
        nick, _ = self.rooms[room]
        bookmark = BookmarkData(JID.from_string(room), autojoin=True, nick=nick)
        self.module("NativeBookmarks").store_bookmarks([bookmark])
        if self.infos[room].has_mam_2:
            self.catch_up(room, days=1)
        self.tell("in", room)

    def do_rename(self, room, nick):
        self.send_presence(f"{room}/{nick}")

    def do_exit(self, room, nick):
        self.send_presence(f"{room}/{nick}", typ="unavailable")

    def do_tell(self, to, text, kind="groupchat"):
        self.client.send_stanza(Message(to=to, body=text, typ=kind))

    # what happens

    def presence(self, client, stanza, properties):
        jid = properties.jid
        place = jid.bare, jid.resource
        if properties.type.is_error:
            self.tell("refused", str(jid), properties.error.condition)
        elif not properties.from_muc:
            super().presence(client, stanza, properties)
        elif properties.is_muc_destroyed:
            gone = properties.muc_destroyed
            self.tell("destroyed", jid.bare, gone.reason or "", str(gone.alternate or ""))
        elif properties.is_nickname_changed:
            self.tell("renamed", *place, properties.muc_user.nick)
        elif properties.type.is_unavailable:
            codes = sorted(code.value for code in properties.muc_status_codes or ())
            self.tell("gone", *place, *codes)
        else:
            user = properties.muc_user
            if properties.avatar_sha:
                self.tell("picture", *place, properties.avatar_sha)
            self.tell("occupant", *place, user.affiliation.value, user.role.value)
            if properties.is_muc_self_presence and properties.is_new_room:
                self.configure(jid.bare, self.rooms[jid.bare][1])

    def message(self, client, stanza, properties):
        if properties.is_mam_message:
            if properties.body:
                archive = properties.mam.archive.bare
                self.tell("archived", archive, str(properties.from_), properties.body)
        elif properties.is_pubsub_event:
            event = properties.pubsub_event
            what = next(
                (name for name in ("deleted", "retracted", "purged") if getattr(event, name)), ""
            )
            data = json.dumps(plain(event.data), sort_keys=True)
            self.tell("event", properties.jid.bare, event.node, what or event.id, data)
        elif properties.muc_invite is not None:
            invite = properties.muc_invite
            words = invite.type.value, str(invite.from_), invite.reason or ""
            self.tell("invited", str(invite.muc), *words)
        elif properties.muc_decline is not None:
            self.tell("declined", str(properties.muc_jid), str(properties.muc_decline.from_))
        elif properties.is_voice_request:
            self.last = properties.voice_request
            self.tell("voice", str(properties.muc_jid), self.last.nick, str(self.last.jid))
        elif properties.is_muc_config_change:
            codes = sorted(code.value for code in properties.muc_status_codes)
            self.tell("changed", str(properties.muc_jid), *codes)
        elif properties.is_muc_subject:
            room = str(properties.muc_jid)
            self.tell("subject", room, properties.muc_subject.text)
            if self.rooms[room][1] is None:
                self.is_in(room)
                self.rooms[room] = self.rooms[room][0], {}
        elif properties.body and properties.type.is_groupchat:
            self.tell("said", str(properties.jid), properties.body)
        elif properties.body and properties.is_muc_pm:
            self.tell("whispers", str(properties.jid), properties.body)
        else:
            super().message(client, stanza, properties)

    def pushed(self, client, stanza, properties):
        push = properties.blocking
        for name in ("block", "unblock"):
            for jid in getattr(push, name):
                self.tell(name, str(jid))
        raise NodeProcessed

    # what it is told to do

    def do_ask(self, number, module, method, given, more):
        def told(result):
            if isinstance(result, StanzaError):
                words = result.condition, result.type, result.app_condition or ""
                self.tell("error", number, *words)
            elif isinstance(result, Exception):
                self.tell("error", number, type(result).__name__, str(result), "")
            else:
                self.last = result
                self.tell("answer", number, json.dumps(plain(result)))

        given, more = values_made([given, more], self.last)
        result = getattr(self.module(module), method)(*given, **more)
        if isinstance(result, Task) and result.state.is_running:
            self.when(result, told)
        else:
            told(None)

    def do_raw(self, number, to, xml):
        """Ask for what no module of nbxmpp asks for."""
        request = Iq("set", to=to)
        request.addChild(node=Node(node=xml))

        def answered(client, answer):
            self.tell("answer", number, json.dumps(answer.getError() or "result"))

        self.client.send_stanza(request, callback=answered)

    def do_page(self, number, jid, most, after):
        """Ask for a page of the items of an address, which nbxmpp has only for archives."""
        request = get_disco_request(Namespace.DISCO_ITEMS, jid)
        request.getQuery().addChild(node=_make_rsm_query(most, after))

        def answered(client, answer):
            page = parse_rsm(answer.getQuery())
            items = [str(item.jid) for item in parse_disco_items(answer).items]
            self.tell("answer", number, json.dumps([items, page.last, page.count]))

        self.client.send_stanza(request, callback=answered)

    def do_submit(self, number, module, method, given, values, more):
        """Submit the form of the last result without what is empty, as dialogs of Gajim do."""
        self.do_ask(number, module, method, [*given, purged(self.last, values)], more)

    def do_approve(self, room):
        self.module("MUC").approve_voice_request(room, self.last)


if __name__ == "__main__":
    driven = Gajim(json.loads(sys.argv[1]))
    driven.client.connect()
    driven.loop.run()
