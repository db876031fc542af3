"""A client made of nbxmpp, Gajim's library, that another process drives (tests/people.py).

It runs under Debian's Python, for which Debian has nbxmpp and PyGObject. Settings are its
argument, commands are lines on standard input, events are lines on standard output; all of it
JSON.
"""

import ctypes
import json
import os
import sys
import traceback

import gi

gi.require_version("Gio", "2.0")
gi.require_version("Soup", "3.0")

import nbxmpp  # noqa: E402 # the versions come first
from gi.repository import Gio, GLib  # noqa: E402
from nbxmpp.client import Client  # noqa: E402
from nbxmpp.const import ConnectionProtocol, ConnectionType  # noqa: E402
from nbxmpp.namespaces import Namespace  # noqa: E402
from nbxmpp.protocol import Message  # noqa: E402
from nbxmpp.sasl import SCRAM_SHA_256_PLUS  # noqa: E402
from nbxmpp.structs import StanzaHandler  # noqa: E402

BOUND = "SCRAM-SHA-256-PLUS"
BINDINGS = {
    "tls-exporter": Gio.TlsChannelBindingType.EXPORTER,
    "tls-server-end-point": Gio.TlsChannelBindingType.SERVER_END_POINT,
}


class ByteArray(ctypes.Structure):
    """GByteArray."""

    _fields_ = [("data", ctypes.POINTER(ctypes.c_uint8)), ("len", ctypes.c_uint)]


def binding_data(connection, kind):
    """Return channel binding data from GnuTLS.

    Not by PyGObject, which crashes there (pygobject#603); that is why nbxmpp, which has all
    else, does not use it yet.
    """
    glib, gio = ctypes.CDLL("libglib-2.0.so.0"), ctypes.CDLL("libgio-2.0.so.0")
    glib.g_byte_array_new.restype = array = ctypes.POINTER(ByteArray)
    ask = gio.g_tls_connection_get_channel_binding_data
    ask.argtypes = [ctypes.c_void_p, ctypes.c_int, array, ctypes.c_void_p]
    found = glib.g_byte_array_new()
    # the hash of a GObject is where it is
    if not ask(hash(connection), int(BINDINGS[kind]), found, None):
        raise RuntimeError(f"GnuTLS has no {kind} here")
    return bytes(found.contents.data[: found.contents.len])


class Driven:
    """The client. settings: those of `Nbxmpp` in tests/people.py."""

    def __init__(self, settings):
        self.settings = settings
        self.loop = GLib.MainLoop()
        self.begun = b""  # of a command
        trusted = Gio.TlsFileDatabase.new(settings["ca_file"])
        Gio.TlsBackend.get_default().set_default_database(trusted)
        client = self.client = Client(log_context="test")
        client.set_domain(settings["domain"])
        client.set_username(settings["user"])
        client.set_password(settings["password"])
        client.set_resource(settings["resource"])
        how = ConnectionType.DIRECT_TLS if settings["direct"] else ConnectionType.START_TLS
        address = f"{settings['host']}:{settings['port']}"
        client.set_custom_host(address, ConnectionProtocol.TCP, how)
        client.subscribe("connected", self.connected)
        client.subscribe("disconnected", self.disconnected)
        client.subscribe("connection-failed", self.disconnected)
        client.register_handler(StanzaHandler("presence", self.presence, priority=50))
        client.register_handler(StanzaHandler("message", self.message, priority=50))
        if settings["binding"]:
            client._sasl.start_auth = self.start_bound_auth
        GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, self.command)

    def tell(self, kind, *words):
        print(json.dumps([kind, *words]), flush=True)

    def start_bound_auth(self, features):
        """Do what nbxmpp's start_auth does, with the -PLUS that it has and does not choose."""
        sasl, kind = self.client._sasl, self.settings["binding"]
        if BOUND not in features.get_mechs():
            sasl._abort_auth("invalid-mechanism")
            return
        sasl._sasl_ns = Namespace.SASL
        mechanism = SCRAM_SHA_256_PLUS(
            self.client.username, self.settings["password"], self.client.domain
        )
        mechanism._channel_binding = f"p={kind},,"
        connection = self.client._con._con.get_base_io_stream()
        data = binding_data(connection, kind)
        if self.settings["spoil"]:
            data = bytes([data[0] ^ 1]) + data[1:]
        mechanism.set_channel_binding_data(data)
        sasl._mechanism = mechanism
        sasl._send_initiate()

    # what happens

    def connected(self, *_):
        self.client.get_module("Roster").request_roster(callback=self.has_roster)

    def has_roster(self, task):
        task.finish()
        self.client.get_module("BasePresence").send()
        self.tell("online", str(self.client.get_bound_jid()), nbxmpp.__version__)

    def disconnected(self, *_):
        domain, error, text = self.client.get_error()
        flags = getattr(self.client.peer_certificate[1], "copy", set)()
        names = sorted(flag.value_nicks[-1] for flag in flags)
        self.tell("ended", str(domain), str(error), text or "", " ".join(names))
        self.loop.quit()

    def presence(self, client, stanza, properties):
        kind, sender = properties.type.value, properties.jid.bare
        if kind == "subscribe":
            self.client.get_module("BasePresence").subscribed(properties.jid)
        elif kind in (None, "unavailable") and not properties.self_bare:
            self.tell("sees", sender, kind is None)

    def message(self, client, stanza, properties):
        if properties.body:
            self.tell("hears", properties.jid.bare, properties.body)

    def done(self, task):
        try:
            task.finish()
        except Exception as why:
            self.tell("refused", str(why))
        else:
            self.tell("done")

    # what it is told to do

    def command(self, source, condition):
        read = os.read(source, 65536)
        if not read:
            self.loop.quit()
            return False
        *lines, self.begun = (self.begun + read).split(b"\n")
        for line in lines:
            name, *words = json.loads(line)
            try:
                getattr(self, f"do_{name}")(*words)
            except Exception:  # nobody else would hear of it, and no later command would be heard
                self.tell("ended", traceback.format_exc())
        return True

    def do_befriend(self, jid):
        self.client.get_module("BasePresence").subscribe(jid)

    def do_say(self, jid, text):
        self.client.send_stanza(Message(to=jid, body=text, typ="chat"))

    def do_change_password(self, password):
        self.client.get_module("Register").change_password(password, callback=self.done)

    def do_unregister(self):
        self.client.get_module("Register").unregister(callback=self.done)

    def do_leave(self):
        self.client.disconnect()


if __name__ == "__main__":
    driven = Driven(json.loads(sys.argv[1]))
    driven.client.connect()
    driven.loop.run()
