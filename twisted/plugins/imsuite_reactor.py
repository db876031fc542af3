"""Tell twistd that there is a reactor called imsuite."""

from twisted.application.reactors import Reactor

imsuite = Reactor("imsuite", "imsuite.streams.reactor", "epoll, waiting where imsuite's links are.")
