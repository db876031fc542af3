"""What must hold in a storm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.storm.client import BLOCKING, StormClient
from benchmarks.storm.words import Said
from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.interfaces import IBlocking, IRoster
from imsuite.core.session import Session
from imsuite.features.rfc6121_roster.storage import load
from imsuite.rules.roster import to_element
from imsuite.testing.memory import now
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, InvalidAddress, parse
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from benchmarks.storm.storm import Storm

STAMPED = ("m-", "p-", "i-", "r-")  # beginnings of ids that clients of the storm made
SUBSCRIPTIONS = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")


def wrong(storm: Storm, what: str) -> Exception:
    """Return what to raise."""
    from benchmarks.storm.storm import Wrong

    return Wrong(storm.told(what))


def parsed(text: str | None) -> JID | None:
    """Return an address, None if it is none."""
    try:
        return None if text is None else parse(text)
    except InvalidAddress:
        return None


# what one client hears


def heard(storm: Storm, client: StormClient, stanza: Stanza) -> None:
    """Check a stanza that a client received, and let it believe it."""
    id, type = stanza.id or "", stanza.type
    sender, to = stanza.sender, parsed(stanza.to)
    if stanza.to is not None and (to is None or to.bare != client.bare):
        answers_own = type == "error" and id in client.sent
        if not answers_own:
            raise wrong(storm, f"{client} hears what is for {stanza.to!r}")
    if stanza.kind == "iq" and type in ("result", "error") and not id.startswith("r-"):
        _answer(storm, client, stanza)
        return
    if type == "error" and id in client.sent and not _is_for(client, client.sent[id]):
        _refusal(storm, client, stanza)
        return
    if stanza.kind == "presence":
        if type in (None, "unavailable"):
            client.note_presence(stanza)
        if type in SUBSCRIPTIONS and "/" in (sender or ""):
            raise wrong(storm, f"{client} hears of a subscription from {sender!r}")
    if not id.startswith(STAMPED):
        if stanza.kind == "iq":
            _request(storm, client, stanza)
        elif stanza.kind == "message":
            raise wrong(storm, f"{client} hears a message that nobody sent")
        return
    found = storm.said.get(id)
    if found is None:
        return  # its sender has gone
    author, said = found
    if stanza.kind == "presence" and type != said.type:
        return  # a farewell or an answer with the id of a presence
    _passed(storm, client, stanza, author, said)
    if stanza.kind == "iq" and type in ("get", "set"):
        client.answer(stanza)


def _is_for(client: StormClient, said: Said) -> bool:
    """Tell whether a client itself is who gets an error that it sent."""
    to = parsed(said.to)
    return said.type == "error" and to is not None and to.bare == client.bare


def _passed(
    storm: Storm, client: StormClient, stanza: Stanza, author: StormClient, said: Said
) -> None:
    """Check what another client said: addresses, order, language."""
    storm.heard_by.setdefault(said.id, []).append(client)
    true = author.bare if said.type in SUBSCRIPTIONS else author.full
    if stanza.sender != true:
        raise wrong(storm, f"{stanza.sender!r} is not {true!r}")
    if stanza.kind == "presence" and (said.to is None or said.type in SUBSCRIPTIONS):
        return
    if stanza.to != said.to:
        raise wrong(storm, f"to {said.to!r} became {stanza.to!r}")
    lang = Stanza.parse(said.xml).attrs.get("xml:lang", author.lang or None)
    if stanza.attrs.get("xml:lang") != lang:
        raise wrong(storm, f"{lang!r} became {stanza.attrs.get('xml:lang')!r}")
    if client.full == author.full:
        return
    number = int(said.id.partition("-")[2])
    # what waited for the account is behind what came to the resource that was not available
    waited = b">Offline Storage<" in stanza.raw
    pair = (author.full, client.full, waited)
    if number < storm.last_seq.get(pair, 0):
        raise wrong(storm, f"{said.id} came too late from {author} to {client}")
    storm.last_seq[pair] = number
    if storm.heard_by[said.id].count(client) > 1 and stanza.kind != "presence":
        raise wrong(storm, f"{said.id} came twice to {client}")


def _answer(storm: Storm, client: StormClient, stanza: Stanza) -> None:
    id = stanza.id or ""
    said = client.sent.get(id)
    if said is None:
        # who had the address before may have asked
        if id and storm.authors.get(id) != client.full:
            raise wrong(storm, f"{client} hears an answer to a question of somebody else")
        return
    if said.type not in ("get", "set") and stanza.type != "error":
        raise wrong(storm, f"{said.type} was answered")
    if said.type in ("result", "error"):
        raise wrong(storm, f"{said.type} was answered")
    client.answers[id] = client.answers.get(id, 0) + 1
    if client.answers[id] > 1:
        raise wrong(storm, f"{id} was answered twice")
    asked = parsed(said.to)
    # what is no address answers nothing: the error comes from nobody
    right = stanza.sender is None if asked is None else parsed(stanza.sender) == asked
    if not right:
        raise wrong(storm, f"asked {said.to!r}, answered {stanza.sender!r}")
    if stanza.type == "result":
        client.note_result(said, stanza)


def _refusal(storm: Storm, client: StormClient, stanza: Stanza) -> None:
    """Check an error that answers a message or presence."""
    said = client.sent[stanza.id or ""]
    if said.type == "error":
        raise wrong(storm, f"the error {said.id} was answered")
    if said.kind != stanza.kind:
        raise wrong(storm, f"{said.id} was answered by a {stanza.kind}")
    client.answers[said.id] = client.answers.get(said.id, 0) + 1
    if client.answers[said.id] > 1:
        raise wrong(storm, f"{said.id} was refused twice")
    client.broadcasts = [each for each in client.broadcasts if each[0] != said.id]


def _request(storm: Storm, client: StormClient, stanza: Stanza) -> None:
    """Take a request of the server."""
    payload = stanza.payload
    assert payload is not None
    if stanza.type == "set" and payload.uri in (NS.ROSTER, BLOCKING):
        if stanza.sender not in (None, client.bare):
            raise wrong(storm, f"a push from {stanza.sender!r}")
        client.note_push(payload)
    client.answer(stanza)


# what one message does, where the server answers at once


def deliveries(storm: Storm, client: StormClient, said: Said) -> set[str] | None:
    """Return the full JIDs that must receive a message; None if that is not for here to say."""
    to = parsed(said.to)
    session = client.session
    if said.kind != "message" or session is None or b" from=" in said.xml:
        return None
    if said.to is None:
        to = parse(client.bare)
    elif to is None:
        return set()
    host = storm.server.router.hosts.get(to.domain)
    account = None if host is None else host.accounts.get(to.local)
    if host is None or account is None:
        return set()
    mine, theirs = feature(session.account.host, IBlocking), feature(host, IBlocking)
    if said.to is not None and (
        mine.blocks(session.account, to) or theirs.blocks(account, session.jid)
    ):
        return set()
    target = account.sessions.get(to.resource)
    if target is not None:
        return {target.full}
    type = said.type if said.type in ("chat", "headline", "groupchat", "error") else "normal"
    if type in ("groupchat", "error") or (to.resource and type != "chat"):
        return set()
    return {each.full for each in account.available if each.priority >= 0}


def delivered(storm: Storm, client: StormClient, said: Said, expected: set[str]) -> None:
    """Check who received a message."""
    if client.phase != "bound":
        return
    found = {other.full for other in storm.heard_by.get(said.id, ())}
    if found != expected:
        raise wrong(storm, f"{said.id} came to {found}, not to {expected}")
    refused = client.answers.get(said.id, 0)
    if found and refused:
        raise wrong(storm, f"{said.id} was delivered and refused")


# what holds when nothing is under way


def check(storm: Storm) -> None:
    """Check all of the server's and the clients' views. Raises Wrong."""
    failures = storm.server.failures.take()
    if failures:
        raise wrong(storm, "\n".join(failures))
    note_blocking(storm)
    for host in storm.server.hosts:
        _check_host(storm, host)
    for host in storm.server.hosts:
        for account in list(host.accounts.values()):
            _check_account(storm, host, account)
    for client in storm.clients:
        if client.phase == "bound":
            _check_client(storm, client)


def _check_client(storm: Storm, client: StormClient) -> None:
    session = client.session
    if session is None or storm.server.router.sessions.get(client.full) is not session:
        raise wrong(storm, f"{client} is not bound any more and does not know it")
    _check_answers(storm, client)
    last = client.broadcasts[-1] if client.broadcasts else ("", "unavailable")
    now_said = None if last[1] == "unavailable" else last[0]
    kept = None if session.presence is None else session.presence.id
    if kept != now_said:
        raise wrong(storm, f"the presence of {client} is {now_said}, kept is {kept}")
    roster, account = feature(session.account.host, IRoster), session.account
    if client.roster is not None:
        true = {}
        for contact, item in kept_roster(roster, account).items.items():
            element = to_element(item)
            true[contact] = {
                **element.attributes,
                "groups": {str(group) for group in element.elements()},
            }
        if client.roster != true:
            raise wrong(storm, f"the roster of {client} is {true}, it knows {client.roster}")
    blocking = feature(session.account.host, IBlocking)
    if client.blocked is not None:
        blocked = set(blocking._kept.of(account).jids)
        if client.blocked != blocked:
            raise wrong(storm, f"{client} blocks {blocked}, it knows {client.blocked}")
    if session.presence is not None:
        _check_view(storm, client, session)


def _check_answers(storm: Storm, client: StormClient) -> None:
    for id, said in list(client.sent.items()):
        if said.kind != "iq" or said.type not in ("get", "set"):
            continue
        passed_on = storm.heard_by.get(id)
        if client.answers.get(id, 0) == 0:
            to = parsed(said.to)
            lost = to is not None and bool(to.resource) and to.full in storm.gone
            if not passed_on and not lost:
                raise wrong(storm, f"{id} of {client} was not answered: {said.xml!r}")
            answered = passed_on and id in storm.peer_answers and passed_on[0] in storm.clients
            if answered and not storm.blocking:  # who is blocked meanwhile is not heard
                raise wrong(storm, f"the answer to {id} was lost")
        elif passed_on and id not in storm.peer_answers:
            raise wrong(storm, f"{id} was answered by somebody else")
        if client.answers.get(id, 0) or not passed_on:
            del client.sent[id]
            for table in (storm.said, storm.heard_by, client.answers):
                table.pop(id, None)
            storm.peer_answers.discard(id)


def _check_view(storm: Storm, client: StormClient, session: Session) -> None:
    """Compare what a client believes of others' presence with how it is."""
    account = session.account
    view = dict(client.view)
    for host in storm.server.hosts:
        for other in list(host.accounts.values()):
            for theirs in other.sessions.values():
                believed = view.pop(theirs.full, None)
                if (theirs.full, client.bare) in storm.tainted:
                    continue
                seen = theirs.presence is not None and _sees(storm, account, other, theirs)
                true = theirs.presence.id if seen and theirs.presence is not None else None
                if believed != true and seen is not None:
                    raise wrong(
                        storm,
                        f"the presence of {theirs.full} is {true} to {client},"
                        f" it believes {believed}",
                    )
    if view:
        raise wrong(storm, f"{client} believes {sorted(view)} to be there")


def _sees(storm: Storm, account: Account, other: Account, theirs: Session) -> bool | None:
    """Tell whether an account sees a session of another; None if they disagree about that."""
    if other is account:
        return True
    if (other.bare, account.bare) in storm.apart:
        return None
    item = feature(other.host, IRoster).item(other, account.bare)
    if item is None or not item.state.from_:
        return False
    if feature(other.host, IBlocking).blocks(other, account.jid):
        return False
    return not feature(account.host, IBlocking).blocks(account, theirs.jid)


def _check_host(storm: Storm, host: Host) -> None:
    if host._loading:
        raise wrong(storm, f"{host} loads {list(host._loading)}")
    if host.removing:
        raise wrong(storm, f"{host} removes {host.removing}")
    sessions = {s.full: s for a in host.accounts.values() for s in a.sessions.values()}
    for full, session in storm.server.router.sessions.items():
        if session.account.host is host and sessions.get(full) is not session:
            raise wrong(storm, f"{full} is no session of its account")
    for full in sessions:
        if full not in storm.server.router.sessions:
            raise wrong(storm, f"{full} cannot be found")
    for local in host.accounts:
        resting = local in host._resting
        if resting == bool(host.accounts[local].sessions):
            raise wrong(storm, f"{local} rests: {resting}, {host.accounts[local]}")
    known = {client.full for client in storm.clients if client.phase == "bound"}
    for full in sessions:
        if full not in known:
            raise wrong(storm, f"{full} is a session of nobody")


def _check_account(storm: Storm, host: Host, account: Account) -> None:
    """Compare what is in memory with what is stored, and the rosters of each pair."""
    exists = now(host.users.exists(account.jid.local))
    if not exists:
        raise wrong(storm, f"{account} was removed")
    feature_ = feature(host, IRoster)
    roster = kept_roster(feature_, account)
    stored = now(storm.store.read(load, account.bare))
    if (roster.items, roster.requests) != (stored.items, stored.requests):
        raise wrong(storm, f"the roster of {account} is {roster}, stored is {stored}")
    for contact, item in roster.items.items():
        if item.state.pending_in != (contact in roster.requests):
            raise wrong(storm, f"the request of {contact} to {account}: {item.state}")
        _check_pair(storm, account, parse(contact), item.state)


def _check_pair(storm: Storm, account: Account, contact: JID, state: Any) -> None:
    host = storm.server.router.hosts.get(contact.domain)
    if host is None or not contact.local:
        return
    if not now(host.users.exists(contact.local)):
        if (state.to or state.from_) and not storm.blocking:
            raise wrong(storm, f"{account} has {state} with {contact}, who is gone")
        return
    other = now(storm.store.read(load, contact.bare)).state(account.bare)
    if state.to != other.from_ or state.from_ != other.to:
        if not storm.blocking:
            raise wrong(storm, f"{account} has {state}, {contact} has {other}")
        for pair in ((account.bare, contact.bare), (contact.bare, account.bare)):
            storm.apart.add(pair)
    # a request may meet an answer to an earlier one, which A.3 takes for its own; and nobody
    # answers one to an account that does not exist
    if storm.late is not None or storm.blocking or contact.bare in storm.removed:
        return
    if state.pending_out != other.pending_in:
        raise wrong(storm, f"{account} has {state}, {contact} has {other}")


def note_blocking(storm: Storm) -> None:
    """Let clients forget whom their accounts block, and note pairs that are hard to follow."""
    for client in storm.clients:
        session = client.session
        if session is None:
            continue
        account = session.account
        jids = feature(account.host, IBlocking)._kept.of(account).jids
        known, client.blocked = client.blocked, set(jids)
        client.note_blocking()
        client.blocked = known
    for host in storm.server.hosts:
        for account in host.accounts.values():
            for jid in feature(host, IBlocking)._kept.of(account).jids:
                if "/" in jid:  # whoever is in the way of one resource only
                    storm.apart.add((account.bare, jid.partition("/")[0]))
                    storm.apart.add((jid.partition("/")[0], account.bare))


# the end


def nothing_left(storm: Storm) -> None:
    """Check that the server forgot everybody. Raises Wrong."""
    server = storm.server
    tables: dict[str, Any] = {
        "router.sessions": server.router.sessions,
        "clients": list(server.clients),
        "clients._waiting": server.clients._waiting,
        "clients._links": server.clients._links,
        "links": server._links,
    }
    for host in server.hosts:
        for account in host.accounts.values():
            tables[f"sessions of {account}"] = account.sessions
            turn = account._turn
            tables[f"the turn of {account}"] = turn is not None and turn.locked
            tables[f"fetched by {account}"] = feature(host, IBlocking)._kept.of(account).fetched_by
        tables[f"loading of {host}"] = host._loading
        tables[f"departures of {host}"] = host.departures._leaving
        tables[f"removing of {host}"] = host.removing
        tables[f"requests of {host}"] = host.requests._open
        features: dict[str, Any] = host.features
        tables[f"caps of {host}"] = features["caps"]._clients
        tables[f"asking of {host}"] = features["caps"]._asking
        tables[f"pings of {host}"] = features["ping"]._asked
        tables[f"farewells of {host}"] = features["last"]._farewells
    for name, table in tables.items():
        if table:
            raise wrong(storm, f"{name}: {table}")
    if left := storm.left():
        raise wrong(storm, f"still in memory: {left}")


def feature(host: Host, interface: Any) -> Any:
    """Return the feature that provides an interface."""
    return host.find_feature(interface)


def kept_roster(roster: Any, account: Account) -> Any:
    """Return the roster of an account as it is in memory."""
    return roster._kept.of(account)
