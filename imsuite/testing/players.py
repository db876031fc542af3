"""Plays dialogues: says what is to be said, and looks at what comes.

    play(load(path), MemoryStage(server))

In memory everything that an act causes has happened when it is done. Over TCP the player waits
for what is expected; what must not come is waited for by a ping of everybody, which the server
answers after everything that came before it.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element

from imsuite.testing.dialogues import (
    PASSWORD,
    Act,
    Dialogue,
    DialogueError,
    Expected,
    Speaker,
    first_fitting,
)
from imsuite.testing.memory import make_friends
from imsuite.testing.patterns import BadXML, Wire, fill, shown
from imsuite.testing.pipes import PATIENCE, Pipe, Stage, header
from imsuite.xmpp import ns as NS

_IQ = f"{{{NS.CLIENT}}}iq"
_PING = "imsuite-dialogue-ping"


class Client:
    """A speaker while its connection lasts.

    came: what it received since the last act and no expectation has taken yet; passed: what
    came before something that was expected.
    """

    def __init__(self, speaker: Speaker, stage: Stage, domain: str, secure: bool) -> None:
        self.speaker = speaker
        self.domain = domain
        self.came: list[Element] = []
        self.passed: list[Element] = []
        self.bound = False
        self._stage = stage
        self._wire = Wire()
        self._pings = 0
        self._answered: set[str] = set()
        self.pipe: Pipe = stage.connect(domain, secure)

    @property
    def ended(self) -> bool:
        """The stream or the connection is at its end."""
        return self._wire.ended or self.pipe.closed

    def says(self, text: str) -> None:
        """Send a text; a header begins a new stream."""
        if text.startswith(("<?xml", "<stream:stream")):
            self._wire.restart()
        self.pipe.send(text.encode())

    def read(self, wait: float = 0.0) -> bool:
        """Take what came; tell whether anything did."""
        data = self.pipe.receive(wait)
        if not data:
            return False
        for element in self._wire.feed(data):
            id = element.get("id", "")
            if element.tag == _IQ and id.startswith(_PING):
                self._answered.add(id)
            else:
                self.came.append(element)
        return True

    def read_all(self) -> None:
        """Take everything that came until now."""
        while self.read():
            pass

    def forget(self) -> None:
        """Forget what came."""
        self.read_all()
        self.came.clear()
        self.passed.clear()

    def ping(self) -> None:
        """Read until the server has answered everything so far."""
        if not self.bound or self.ended:
            return
        self._pings += 1
        id = f"{_PING}-{self._pings}"
        self.says(f"<iq type='get' id='{id}' to='{self.domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
        deadline = time.monotonic() + PATIENCE
        while id not in self._answered and not self.ended:
            if not self.read(PATIENCE) and time.monotonic() >= deadline:
                raise DialogueError(f"{self.speaker.name}: a ping was not answered")

    def expect(self, name: str) -> Element:
        """Return the next element of that local name, during login."""
        deadline = time.monotonic() + PATIENCE
        while True:
            while self.came:
                element = self.came.pop(0)
                if element.tag.endswith(f"}}{name}"):
                    return element
                if element.tag.endswith(("}error", "}failure")):
                    raise DialogueError(f"{self.speaker.name} logs in: {shown(element)}")
            if not self.read(PATIENCE) and (self.ended or time.monotonic() >= deadline):
                raise DialogueError(f"{self.speaker.name} logs in: no {name} came")

    def login(self, resource: str) -> None:
        """Authenticate and bind a resource (RFC 6120 §6, §7)."""
        local = self.speaker.bare.partition("@")[0]
        plain = base64.b64encode(f"\0{local}\0{PASSWORD}".encode()).decode()
        self.says(header(self.domain).decode())
        self.expect("features")
        self.says(f"<auth xmlns='{NS.SASL}' mechanism='PLAIN'>{plain}</auth>")
        self.expect("success")
        self.says(header(self.domain).decode())
        self.expect("features")
        self.says(
            f"<iq type='set' id='bind'><bind xmlns='{NS.BIND}'>"
            f"<resource>{resource}</resource></bind></iq>"
        )
        self.expect("iq")
        self.bound = True

    def goes_online(self, available: bool) -> None:
        """Ask for the roster, and become available."""
        self.says(f"<iq type='get' id='roster'><query xmlns='{NS.ROSTER}'/></iq>")
        if available:
            self.says("<presence/>")

    def logout(self) -> None:
        """End the stream and wait for its end."""
        self.says("</stream:stream>")
        deadline = time.monotonic() + PATIENCE
        while not self.ended and time.monotonic() < deadline:
            self.read(PATIENCE)
        self.pipe.cut()


def play(dialogue: Dialogue, stage: Stage) -> None:
    """Play a dialogue to its end. Raises DialogueError with the line where it went wrong."""
    run = _Run(dialogue, stage)
    try:
        run.prepare()
        for act in dialogue.acts:
            run.act(act)
    finally:
        run.finish()


class _Run:
    def __init__(self, dialogue: Dialogue, stage: Stage) -> None:
        self._dialogue = dialogue
        self._stage = stage
        self._clients: dict[str, Client] = {}
        self._values: Mapping[str, str] = {}

    # before

    def prepare(self) -> None:
        """Make the accounts and friends, and log in who is online."""
        dialogue = self._dialogue
        accounts = [s.bare for s in dialogue.speakers.values() if s.jid] + [*dialogue.accounts]
        admins = {s.bare for s in dialogue.speakers.values() if s.admin}
        for bare in dict.fromkeys(accounts):
            self._stage.add_account(bare, PASSWORD, bare in admins)
        for one, other in dialogue.friends:
            self._introduce(dialogue.speakers[one], dialogue.speakers[other])
        for speaker in dialogue.speakers.values():
            if speaker.jid is None:
                self._connect(speaker, speaker.secure)
            elif speaker.state != "offline":
                self._login(speaker, speaker.state == "available")
        self._let_settle(self._clients.values())
        self._let_settle(self._clients.values())
        for client in self._clients.values():
            client.forget()

    def finish(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.pipe.cut()

    def _connect(self, speaker: Speaker, secure: bool) -> Client:
        domain = speaker.bare.partition("@")[2] or self._dialogue.domains[0]
        client = self._clients[speaker.name] = Client(speaker, self._stage, domain, secure)
        return client

    def _login(self, speaker: Speaker, available: bool) -> None:
        client = self._connect(speaker, True)
        client.login((speaker.jid or "").partition("/")[2])
        client.goes_online(available)

    def _introduce(self, one: Speaker, other: Speaker) -> None:
        """Make two friends, by sessions that end again."""
        both = []
        for speaker in (one, other):
            client = self._connect(speaker, True)
            client.login("introduction")
            client.goes_online(True)
            both.append(client)
        first, second = both

        def saying(client: Client, then: Client) -> object:
            def say(text: str) -> None:
                client.says(text)
                client.ping()
                then.ping()

            return say

        make_friends(
            saying(first, second),  # type: ignore[arg-type]
            one.bare,
            saying(second, first),  # type: ignore[arg-type]
            other.bare,
        )
        for client in both:
            client.logout()
            del self._clients[client.speaker.name]

    # the conversation

    def act(self, act: Act) -> None:
        """Do one thing and look what comes of it."""
        if act.proves_absence and self._stage.patient:
            self._let_settle(self._clients.values())
        for client in self._clients.values():
            client.forget()
        try:
            self._do(act)
            absent = [each for each in act.expected if each.kind in ("no", "nothing")]
            for expected in act.expected:
                if expected not in absent:
                    self._expect(expected)
            if absent:
                self._let_settle(self._in_order(act.who))
            for expected in absent:
                self._refuse(expected)
        except (BadXML, DialogueError) as error:
            text = str(error)
            if not text.startswith(self._dialogue.path):
                text = f"{self._dialogue.path}:{act.line}: {text}"
            raise DialogueError(text) from None

    def _do(self, act: Act) -> None:
        speaker = self._dialogue.speakers[act.who]
        if act.deed == "logs in":
            self._login(speaker, speaker.state != "unavailable")
            return
        if act.deed == "connects":
            self._connect(speaker, speaker.secure)
            return
        client = self._clients.get(act.who)
        if client is None:
            raise DialogueError(f"{act.who} is offline")
        if act.deed == "says":
            client.says(fill(act.text, self._values))
        elif act.deed == "secures":
            client.pipe.secure()
        elif act.deed == "logs out":
            client.logout()
        else:
            client.pipe.cut()
        self._stage.settle()

    def _expect(self, expected: Expected) -> None:
        client = self._client(expected)
        deadline = time.monotonic() + (PATIENCE if self._stage.patient else 0)
        while True:
            client.read_all()
            if expected.kind == "end":
                if client.ended:
                    return
            else:
                assert expected.pattern is not None
                found = first_fitting(expected.pattern, client.came, self._values)
                if found is not None:
                    place, self._values = found
                    client.passed += client.came[:place]
                    del client.came[: place + 1]
                    return
            wait = deadline - time.monotonic()
            if wait <= 0 or (client.ended and expected.kind != "end"):
                raise self._went_wrong(expected, client.passed + client.came)
            client.read(wait)

    def _refuse(self, expected: Expected) -> None:
        client = self._client(expected)
        client.read_all()
        rest = client.passed + client.came
        if expected.kind == "nothing":
            wrong = bool(rest)
        else:
            assert expected.pattern is not None
            wrong = first_fitting(expected.pattern, rest, self._values) is not None
        if wrong:
            raise self._went_wrong(expected, rest)

    def _client(self, expected: Expected) -> Client:
        client = self._clients.get(expected.who)
        if client is None:
            raise DialogueError(f"{self._dialogue.path}:{expected.line}: {expected.who} is offline")
        return client

    def _went_wrong(self, expected: Expected, came: list[Element]) -> DialogueError:
        lines = [
            f"{self._dialogue.path}:{expected.line}: {expected.who} should receive",
            f"    {fill(expected.text, self._values)}",
            "but what came is" if came else "but nothing came",
            *(f"    {shown(element)}" for element in came),
        ]
        return DialogueError("\n".join(lines))

    # waiting

    def _in_order(self, first: str) -> list[Client]:
        """Return the clients, the one that acted first."""
        return sorted(self._clients.values(), key=lambda each: each.speaker.name != first)

    def _let_settle(self, clients: Iterable[Client]) -> None:
        """Wait until the server has done all that was asked, and everybody has heard of it."""
        self._stage.settle()
        if self._stage.patient:
            for client in clients:
                client.ping()
        self._stage.settle()
