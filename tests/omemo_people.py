"""People who write to each other by OMEMO (XEP-0384), with slixmpp-omemo."""

from omemo.storage import Just, Nothing, Storage
from slixmpp import JID
from slixmpp.plugins import register_plugin
from xmlschema import XMLSchema10, XMLSchema11
from zope.interface import implementedBy

from tests.people import Slixmpp

# COMPAT(xmlschema 4.3): it reads every attribute of its classes, and they inherit `__provides__`
# from collections.abc where zope.interface knows those (as wokkel lets it), which can be read of a
# class only that zope.interface knows itself
for _schema in (XMLSchema10, XMLSchema11):
    implementedBy(_schema)
    implementedBy(type(_schema.meta_schema))

from slixmpp_omemo import XEP_0384  # noqa: E402

VERSIONS = ("twomemo", "oldmemo")  # of the protocol: 0.8 and 0.3


class Drawer(Storage):
    """The keys of one device, which it has for as long as the test lasts."""

    def __init__(self):
        super().__init__()
        self.kept = {}

    async def _load(self, key):
        return Just(self.kept[key]) if key in self.kept else Nothing()

    async def _store(self, key, value):
        self.kept[key] = value

    async def _delete(self, key):
        self.kept.pop(key, None)


class Keys(XEP_0384):
    """The plugin; it trusts every device that it sees, which is for the tests to say."""

    default_config = {"fallback_message": "This is a secret.", "drawer": None}

    @property
    def storage(self):
        """Where its keys are."""
        return self.drawer

    @property
    def _btbv_enabled(self):
        return True

    async def _prompt_manual_trust(self, manually_trusted, identifier):
        raise AssertionError(f"these devices should be trusted: {manually_trusted}")


register_plugin(Keys)


class Secretive(Slixmpp):
    """Somebody whose messages are encrypted. drawer: of the device; it keeps the keys."""

    def __init__(self, *given, drawer=None, **more):
        self.drawer = drawer or Drawer()
        super().__init__(*given, plugins=("xep_0380", Keys.name), **more)

    async def _connect(self):
        await super()._connect()
        self._omemo.drawer = self.drawer
        self.client.add_event_handler("omemo_initialized", lambda _: self.ears.tell("ready"))
        for version in VERSIONS:
            self.client.add_event_handler(
                f"{version}_device_list_publish",
                lambda event, version=version: self.ears.tell(version, event["from"].bare),
            )

    async def _started(self, event):
        # some plugins say what they can only now, when the hash of all that is made
        await self.client.plugin["xep_0115"].update_caps(broadcast=False)
        await super()._started(event)

    def log_in(self):
        """Come online, and have published what others need."""
        super().log_in()
        self.ears.wait(("ready",))

    def learns(self, jid):
        """Wait until events say which devices somebody has."""
        for version in VERSIONS:
            self.ears.wait((version, jid))

    @property
    def _omemo(self):
        return self.client.plugin["xep_0384"]

    def devices(self, jid):
        """Return the ids of the devices of somebody that are known and active."""

        async def ask():
            sessions = await self._omemo.get_session_manager()
            found = await sessions.get_device_information(jid)
            return {each.device_id for each in found if any(dict(each.active).values())}

        return self.call(ask)

    @property
    def device(self):
        """The id of this device."""

        async def ask():
            sessions = await self._omemo.get_session_manager()
            own, _ = await sessions.get_own_device_information()
            return own.device_id

        return self.call(ask)

    def whisper(self, jid, text):
        """Send a message that only the devices of somebody, and one's own, can read."""

        async def send():
            message = self.client.make_message(mto=JID(jid), mtype="chat", mbody=text)
            message.set_from(self.client.boundjid)
            sealed, failed = await self._omemo.encrypt_message(message, JID(jid))
            assert sealed is not None, failed
            assert text not in str(sealed)
            sealed.send()

        self.call(send)

    async def _message(self, message):
        if not self._omemo.is_encrypted(message):
            return
        try:
            clear, _ = await self._omemo.decrypt_message(message)
            text = clear["body"]
        except Exception as why:
            text = repr(why)
        self.ears.tell("hears", message["from"].bare, text)
