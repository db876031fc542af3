"""A person at nbxmpp as Gajim uses it, who can be asked to do what a module of nbxmpp can."""

import itertools
import json
from contextlib import ExitStack, contextmanager

from tests.people import Nbxmpp
from tests.served import served

DOMAIN = "localhost"
PASSWORD = "wherefore-art-thou"
NEWCOMERS = 6


class Refused(Exception):
    """The server answered with an error. condition, type, app: of that."""

    def __init__(self, condition, type, app):
        super().__init__(condition, type, app)
        self.condition, self.type, self.app = condition, type, app


def made(name, of):
    """Say that the client makes a value (tests/nbxmpp_values.py)."""
    return {"make": name, "of": of}


def jid(text):
    """Say that the client makes a JID."""
    return made("jid", text)


class Gajim(Nbxmpp):
    """Gajim without its windows (tests/nbxmpp_gajim.py)."""

    program = "gajim"
    script = "nbxmpp_gajim.py"

    def __init__(self, *given, **more):
        super().__init__(*given, **more)
        self._numbers = itertools.count()

    def ask(self, module, method, *given, **more):
        """Return what a method of a module of nbxmpp returns, as JSON. Raises Refused."""
        return self._answer("ask", module, method, given, more)

    def submit(self, module, method, *given, values, **more):
        """Fill in the form of the last answer, and return what it is answered with."""
        return self._answer("submit", module, method, given, values, more)

    def _answer(self, command, *words):
        number = next(self._numbers)
        self.do(command, number, *words)
        event = self.ears.wait(("answer", number), ("error", number), ("ended",))
        if event[0] == "error":
            raise Refused(*event[2:])
        assert event[0] == "answer", event
        return json.loads(event[2])

    def page(self, jid, most, after=None):
        """Return a page of the items of an address, the last of them, and how many there are."""
        return self._answer("page", jid, most, after)

    def raw(self, to, xml):
        """Return how a set with this element is answered: the condition, or "result"."""
        return self._answer("raw", to, xml)

    def asked(self):
        """Return what was asked for since this was last called: (to, what, answer)."""
        self.do("asked")
        return [tuple(each) for each in json.loads(self.ears.wait(("asked",))[1])]

    def create(self, room, nick, **config):
        """Make a room, of members unless said otherwise."""
        self.do("create", room, nick, {f"muc#roomconfig_{k}": v for k, v in config.items()})
        self.ears.wait(("in", room))

    def enter(self, room, nick, password=None):
        """Enter a room."""
        self.do("enter", room, nick, password)
        self.ears.wait(("in", room))


class Company:
    """People at one server. server: `Served`."""

    def __init__(self, server):
        self.server = server
        self.everybody = ExitStack()
        self._names = (f"newcomer{n}" for n in itertools.count())
        self._staying = {}

    def comes(self, name=None, device="laptop"):
        """Return somebody who comes online, of whom the server knows nothing if not named."""
        jid = f"{name or next(self._names)}@{DOMAIN}/{device}"
        person = Gajim(self.server, jid, PASSWORD)
        self.everybody.callback(person.close)
        person.log_in()
        return person

    def stays(self, name):
        """Return somebody who stays online for all tests, the same one each time."""
        if name not in self._staying:
            self._staying[name] = self.comes(name)
        return self._staying[name]


@contextmanager
def company(folder, hosts, *names):
    """Start a server with accounts of people; see `served`."""
    with served(folder, hosts) as server:
        names = *names, *(f"newcomer{n}" for n in range(NEWCOMERS))
        given = "".join(f"{name}@{DOMAIN} {PASSWORD}\n" for name in names)
        server.ctl("adduser", "--from", "-", given=given)
        people = Company(server)
        with people.everybody:
            yield people
