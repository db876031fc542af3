"""Tell twistd that there is a service called imsuite."""

from twisted.application.service import ServiceMaker

service = ServiceMaker("imsuite", "imsuite.app.tap", "An XMPP server.", "imsuite")
