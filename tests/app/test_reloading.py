"""A server takes what may change while it runs, whole or not at all."""

import attrs
import pytest

from imsuite.app.config import HostOptions
from imsuite.app.reloading import AT_ONCE, LATER
from imsuite.auth.secrets import PasswordOptions
from imsuite.streams.certificates import CertificateError
from imsuite.streams.clients import StreamOptions
from imsuite.testing.server import _call, serve
from imsuite.xmpp.address import parse
from tests.app.pems import pem


@pytest.fixture
def service():
    with serve("example.org") as server:
        yield server.service


def reload(service, **changes):
    """Reload with other parts of the configuration; return what is told."""
    config = attrs.evolve(service.config, **changes)
    return [(str(each.what), each.effect) for each in _call(lambda: service.reload(config))]


def server_options(service, **changes):
    return {"server": attrs.evolve(service.config.server, **changes)}


def tables(service, **changes):
    return {"tables": {**service.config.tables, **changes}}


def test_limits_of_connections(service):
    told = reload(service, **server_options(service, max_connections=7, listen=("c2s:1",)))
    assert ("[server] max_connections: 20000 -> 7", AT_ONCE) in told
    assert service.admission.max_connections == 7
    assert [effect for what, effect in told if "listen" in what] == [LATER]
    assert service.config.server.max_connections == 7
    assert service.config.server.listen != ("c2s:1",)


def test_streams(service):
    options = StreamOptions(stanza_bytes=20_000, unbound_bytes=5000, rate=9)
    reload(service, **tables(service, streams=options))
    assert service.clients.options.rate == 9
    assert service.clients.limits.stanza_bytes == 20_000
    assert service.clients.limits_before.stanza_bytes == 5000


def test_administrators_that_the_configuration_names(service):
    hosts = {"example.org": HostOptions(admins=("nurse@example.net",))}
    told = reload(service, hosts=hosts)
    assert [effect for _, effect in told] == [AT_ONCE]
    assert service.hosts["example.org"].users.administers(parse("nurse@example.net/kitchen"))
    assert [effect for _, effect in reload(service, hosts={"example.org": HostOptions()})] == [
        AT_ONCE
    ]
    assert not service.hosts["example.org"].users.administers(parse("nurse@example.net"))


def test_what_was_not_taken_is_told_again(service):
    given = tables(service, passwords=PasswordOptions(iterations=5000))
    first = reload(service, **given)
    assert [effect for _, effect in first] == [LATER]
    assert reload(service, **given) == first


def test_options_of_features_that_are_marked_live(service):
    """Whichever they are: a feature reads self.options each time it needs one."""
    mine = service.config.feature_options["example.org"]
    live = {
        word: field.name
        for word, options in mine.items()
        for field in attrs.fields(type(options))
        if field.metadata.get("live") and field.type in ("int", int)
    }
    changed = {
        word: attrs.evolve(mine[word], **{name: getattr(mine[word], name) + 1})
        for word, name in live.items()
    }
    told = reload(service, feature_options={"example.org": {**mine, **changed}})
    assert len(told) == len(live)
    for word, name in live.items():
        feature = service.hosts["example.org"].features[word]
        assert getattr(feature.options, name) == getattr(changed[word], name)


def test_a_certificate_that_is_wrong_changes_nothing(service, tmp_path):
    before = service.config, service.certificates
    host = HostOptions(certificate=str(pem(tmp_path / "a.pem", "example.net")))
    with pytest.raises(CertificateError):
        reload(service, hosts={"example.org": host}, **server_options(service, max_connections=7))
    assert (service.config, service.certificates) == before
    assert service.admission.max_connections != 7


def test_a_certificate_in_another_file(service, tmp_path):
    file = pem(tmp_path / "a.pem", "example.org")
    told = reload(service, hosts={"example.org": HostOptions(certificate=str(file))})
    assert [effect for _, effect in told] == [AT_ONCE, AT_ONCE]
    assert str(file) in told[0][0]
    assert service.certificates["example.org"].file == file


def test_without_a_file_only_certificates_are_read_again(service):
    assert _call(service.reload) == []
