"""RFC 6120 §5: STARTTLS."""

import attrs

from imsuite.core.feature import StreamFeature, negotiates
from imsuite.core.options import option
from imsuite.rules.stream import Phase
from imsuite.streams.c2s import ClientStream
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.stanza import Stanza

OFFER = b"<starttls xmlns='%s'>%%s</starttls>" % NS.TLS.encode()
PROCEED = b"<proceed xmlns='%s'/>" % NS.TLS.encode()


@attrs.frozen
class Options:
    """[features.starttls]"""

    required: bool = option(True, "Tell clients that they must use TLS before they log in.")


class StartTLS(StreamFeature):
    """Let a client turn its stream into an encrypted one."""

    spec = "RFC 6120"
    options: Options
    forbids = Phase.SECURE | Phase.AUTHENTICATED
    rank = 10

    def offer(self, stream: ClientStream) -> bytes:
        """§5.4.1"""
        return OFFER % (b"<required/>" if self.options.required else b"")

    @negotiates(NS.TLS, "starttls")
    def start(self, stream: ClientStream, element: Stanza) -> None:
        """§5.4.2; §5.3.1: what was sent along in clear must not be taken for encrypted."""
        if not stream.only_then():
            raise StreamError("policy-violation", "data after starttls")
        stream.write(PROCEED)
        stream.start_tls()
