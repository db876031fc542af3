"""A web page and an instant messaging server in one Twisted application.

    twistd -ny examples/embedded.tac

PORT and WEB_PORT in the environment say where; the data goes to imsuite-data.
"""

import os

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application
from twisted.internet import endpoints, reactor
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from imsuite.app.server import make_server
from imsuite.app.config import Config, ServerOptions

application = Application("my application")

listen = (f"c2s:127.0.0.1:{os.environ.get('PORT', '5222')}",)
make_server(Config.make(ServerOptions(listen=listen))).setServiceParent(application)

page = Resource()
page.putChild(b"", Data(b"Chat with us: localhost\n", "text/plain"))
web = endpoints.TCP4ServerEndpoint(
    reactor, int(os.environ.get("WEB_PORT", "8080")), interface="127.0.0.1"
)
StreamServerEndpointService(web, Site(page)).setServiceParent(application)
