"""XEP-0092: Software Version."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.feature import At, Feature, answers
from imsuite.core.hooks import Passing
from imsuite.core.options import option
from imsuite.xmpp.stanza import Stanza, result

NS_VERSION = "jabber:iq:version"
NAME = "imsuite"


@attrs.frozen
class Options:
    """[features.version]"""

    show_system: bool = option(False, "Tell the operating system to whoever asks.")


class Version(Feature):
    """Tell the name and version of this server."""

    spec = "XEP-0092 1.1"
    advertises = {At.HOST: (NS_VERSION,)}
    options: Options

    @answers("get", NS_VERSION, "query", At.HOST)
    def version(self, passing: Passing) -> Stanza:
        """§2; §5: the system only if the operator wants it known."""
        query = Element((NS_VERSION, "query"))
        query.addElement("name", content=NAME)
        query.addElement("version", content=_installed())
        if self.options.show_system:
            query.addElement("os", content=f"{platform.system()} {platform.release()}")
        return result(passing.stanza, query)


@cache
def _installed() -> str:
    try:
        return version(NAME)
    except PackageNotFoundError:  # run from its source
        return "unreleased"
