"""People at clients that nobody here wrote, all of whom do the same things.

Each logs in, makes friends, sees who is there, talks and leaves; what a client shows is waited
for. The certificate of the server is checked by the clients' own means.
"""

import asyncio
import contextlib
import inspect
import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from threading import Condition, Thread

import slixmpp

from tests.programs import DEBIAN_PYTHON
from tests.terminal import NotSeen, Terminal

PATIENCE = 20  # seconds
CALM = """
[ui]
splash=false
roster=false
# otherwise it looks at its connection only once a second
inpblock=10
inpblock.dynamic=false
"""


class NotLetIn(Exception):
    """The client gave up, and says why."""


class Ears:
    """What a client told us, until somebody has asked for it."""

    def __init__(self):
        self._told = Counter()
        self._changed = Condition()

    def heard(self, *event):
        """Tell whether that event was told and nobody has asked for it."""
        with self._changed:
            return self._told[event] > 0

    def tell(self, *event):
        """Note an event."""
        with self._changed:
            self._told[event] += 1
            self._changed.notify_all()

    def wait(self, *events):
        """Return the first of these, or of those that begin like these, that comes; forget it."""

        def first():
            for wanted in events:
                for event in self._told:
                    if event[: len(wanted)] == wanted:
                        return event
            return None

        with self._changed:
            found = self._changed.wait_for(first, PATIENCE)
            if not found:
                raise NotSeen(f"none of {events} in {list(self._told)}")
            self._told[found] -= 1
            if not self._told[found]:
                del self._told[found]
            return found


class Person:
    """Somebody with an account, at one client.

    server: `Served`; jid: full; direct: with TLS from the first byte instead of STARTTLS;
    ca_file: certificates that the client trusts, those of the server unless said otherwise.
    """

    program = ""

    def __init__(self, server, jid, password, direct=False, ca_file=None):
        self.server, self.jid, self.password, self.direct = server, jid, password, direct
        self.bare, _, self.resource = jid.partition("/")
        self.user, _, self.domain = self.bare.partition("@")
        self.port = server.tls_port if direct else server.port
        self.ca_file = server.ca_file if ca_file is None else str(ca_file)
        self.ears = Ears()

    def accept(self, jid):
        """Let somebody see us who asked for it; most of these clients do it by themselves."""

    def sees(self, jid, there):
        """Wait until the client shows that a friend came or went."""
        self.ears.wait(("sees", jid, there))

    def hears(self, jid, text):
        """Wait until the client shows a message."""
        self.ears.wait(("hears", jid, text))

    def is_told_of_a_conflict(self):
        """Wait until the client shows that another session took its resource."""
        self.ears.wait(("ended", "conflict"))


class Slixmpp(Person):
    """slixmpp, on an event loop in a thread.

    plugins: to register; context: changes its SSLContext; client: once it has logged in; messages:
    what it received, newest last.
    """

    program = "slixmpp"

    def __init__(self, *given, plugins=(), context=None, **more):
        super().__init__(*given, **more)
        self._plugins = ("xep_0030", "xep_0077", *plugins)
        self._context = context
        self._registering = False
        self.messages = []
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="slixmpp", daemon=True)
        self._thread.start()
        self.client = None

    def ask(self, plugin, method, *given, **more):
        """Return what a method of a plugin returns."""
        return self.call(getattr(self.client.plugin[plugin], method), *given, **more)

    def call(self, function, *given, **more):
        """Return the result of a function, or coroutine function, called in the loop."""

        async def called():
            result = function(*given, **more)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(PATIENCE)

    def register(self):
        """Make the account, which slixmpp does on the way to the first login."""
        self._registering = True
        self.log_in()
        self.ears.wait(("registered",))

    def log_in(self):
        """Come online. Raises NotLetIn."""
        self.call(self._connect)
        event = self.ears.wait(("online",), ("refused",))
        if event[0] == "refused":
            raise NotLetIn(event[1])

    async def _connect(self):
        client = self.client = slixmpp.ClientXMPP(self.jid, self.password)
        for plugin in self._plugins:
            client.register_plugin(plugin)
        client.plugin["xep_0077"].create_account = self._registering
        client.add_event_handler("register", self._register)
        client.ca_certs = self.ca_file
        client.enable_direct_tls, client.enable_starttls = self.direct, not self.direct
        if self._context is not None:
            self._context(client.ssl_context)
        for event, handler in (
            ("session_start", self._started),
            ("presence_available", lambda presence: self._presence(presence, True)),
            ("presence_unavailable", lambda presence: self._presence(presence, False)),
            ("message", self._message),
            ("failed_all_auth", lambda stanza: self.ears.tell("refused", "failed_all_auth")),
            ("ssl_invalid_chain", self._distrust),
            ("connection_failed", self._distrust),
            ("stream_error", lambda error: self.ears.tell("ended", error["condition"])),
            ("disconnected", lambda why: self.ears.tell("disconnected")),
        ):
            client.add_event_handler(event, handler)
        client.connect(self.server.host, self.port)

    async def _started(self, _event):
        self.client.send_presence()
        await self.client.get_roster()
        self.ears.tell("online")

    async def _register(self, _form):
        request = self.client.Iq()
        request["type"] = "set"
        request["register"]["username"] = self.user
        request["register"]["password"] = self.password
        await request.send()
        self.ears.tell("registered")

    def _distrust(self, why):
        self.client.cancel_connection_attempt()
        self.ears.tell("refused", str(why))

    def _presence(self, presence, there):
        self.ears.tell("sees", presence["from"].bare, there)

    def _message(self, message):
        self.messages.append(message)
        self.ears.tell("hears", message["from"].bare, message["body"])

    def befriend(self, jid):
        """Ask to see somebody."""
        self.call(self.client.send_presence_subscription, jid)

    def say(self, jid, text):
        """Send a message."""
        self.call(self.client.send_message, jid, text, mtype="chat")

    def change_password(self, password):
        """Change it."""
        self.ask("xep_0077", "change_password", password)

    def unregister(self):
        """Remove the account."""
        self.ask("xep_0077", "cancel_registration")

    def leave(self):
        """Log out."""
        self.call(self.client.disconnect)

    def close(self):
        """Be gone, whatever happened."""
        if self.client is not None:
            self.call(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self):
        self.client.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Nbxmpp(Person):
    """nbxmpp, in a process of its own (tests/nbxmpp_client.py).

    binding: use -PLUS with this channel binding; spoil: make its data wrong.
    """

    program = "nbxmpp"
    script = "nbxmpp_client.py"

    def __init__(self, *given, binding="", spoil=False, **more):
        super().__init__(*given, **more)
        self._process = None
        names = ("user", "domain", "password", "resource", "port", "direct", "ca_file")
        self._settings = {name: getattr(self, name) for name in names}
        self._settings |= {"host": self.server.host, "binding": binding, "spoil": spoil}

    def log_in(self):
        """Come online. Raises NotLetIn."""
        self._process = subprocess.Popen(
            [
                DEBIAN_PYTHON,
                "-I",
                Path(__file__).with_name(self.script),
                json.dumps(self._settings),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            Thread(target=self._read, daemon=True),
            Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        event = self.ears.wait(("online",), ("ended",))
        if event[0] == "ended":
            raise NotLetIn(" ".join(event[1:]))

    def _read(self):
        for line in self._process.stdout:
            self.ears.tell(*json.loads(line))

    def _read_errors(self):
        self.ears.tell("ended", self._process.stderr.read())

    def do(self, *command):
        """Tell it to do something."""
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def befriend(self, jid):
        """Ask to see somebody."""
        self.do("befriend", jid)

    def say(self, jid, text):
        """Send a message."""
        self.do("say", jid, text)

    def change_password(self, password):
        """Change it."""
        self.do("change_password", password)
        self.ears.wait(("done",))

    def unregister(self):
        """Remove the account."""
        self.do("unregister")
        self.ears.wait(("done",))

    def is_told_of_a_conflict(self):
        """Wait until the client shows that another session took its resource."""
        self.ears.wait(("ended", "StreamError.STREAM", "conflict"))

    def leave(self):
        """Log out."""
        self.do("leave")

    def close(self):
        """Be gone, whatever happened."""
        if self._process is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # which ends it
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            for reader in self._readers:
                reader.join()
            self._process.stdout.close()
            self._process.stderr.close()


class Profanity(Person):
    """Profanity, in a terminal. home: an empty directory."""

    program = "profanity"

    def __init__(self, *given, home, **more):
        super().__init__(*given, **more)
        settings = Path(home, "config", "profanity")
        settings.mkdir(parents=True)
        (settings / "profrc").write_text(CALM)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_DATA_HOME": f"{home}/data",
            "SSL_CERT_FILE": self.ca_file,  # as OpenSSL has it
            "SSL_CERT_DIR": str(home),
        }
        self.terminal = Terminal([self.program], environment)
        self.terminal.shows("Welcome to Profanity")

    def register(self):
        """Make the account; Profanity then disconnects, and sometimes crashes if used again."""
        tls = "legacy" if self.direct else "force"
        self.terminal.types(f"/register {self.user} {self.domain} port {self.port} tls {tls}")
        for asked in ("Enter password:", "Confirm password:"):
            self.terminal.shows(asked)
            self.terminal.types(self.password)
        self.terminal.shows("Registration successful")

    def log_in(self):
        """Come online. Raises NotLetIn."""
        where = f"server {self.server.host} port {self.port}"
        tls = "legacy" if self.direct else "force"
        self.terminal.types(f"/connect {self.jid} {where} tls {tls}")
        seen = self.terminal.shows("Enter password:", r"verification failed: (.*)")
        if seen[0] == "Enter password:":
            self.terminal.types(self.password)
            seen = self.terminal.shows(
                "logged in successfully", "Login failed", r"verification failed: .*"
            )
        if seen[0] != "logged in successfully":
            raise NotLetIn(seen[0])

    def befriend(self, jid):
        """Ask to see somebody."""
        self.terminal.types(f"/roster add {jid}")
        self.terminal.types(f"/sub request {jid}")
        self.terminal.shows(f"Sent subscription request to {re.escape(jid)}")

    def accept(self, jid):
        """Let somebody see us who asked for it."""
        self.terminal.types("/win 1")
        self.terminal.shows(f"Received authorization request from {re.escape(jid)}")
        self.terminal.types(f"/sub allow {jid}")
        self.terminal.shows(f"Accepted subscription for {re.escape(jid)}")

    def sees(self, jid, there):
        """Wait until the console shows that a friend came or went."""
        self.terminal.types("/win 1")
        self.terminal.shows(f"{re.escape(jid)}.* is {'online' if there else 'offline'}")

    def say(self, jid, text):
        """Send a message."""
        self.terminal.types(f"/msg {jid} {text}")

    def change_password(self, password):
        """Change it."""
        self.terminal.types("/changepassword")
        for asked in ("Enter password:", "Confirm password:"):
            self.terminal.shows(asked)
            self.terminal.types(password)
        self.terminal.shows("(?i)password.*(changed|success)")

    def is_told_of_a_conflict(self):
        """Wait until the client shows that another session took its resource."""
        self.terminal.shows("Lost connection")  # it shows no reasons

    def hears(self, jid, text):
        """Wait until the window of a chat shows a message."""
        self.terminal.types(f"/msg {jid}")
        self.terminal.shows(re.escape(text))

    def leave(self):
        """Log out."""
        self.terminal.types("/disconnect")

    def close(self):
        """Be gone, whatever happened."""
        self.terminal.close()
