"""The configuration as values: addresses to listen on, defaults, where data goes (§9)."""

import os

import attrs
import pytest

from imsuite.app.config import (
    Config,
    HostOptions,
    ListenAddress,
    PythonName,
    ServerOptions,
    data_directory,
)
from imsuite.core.options import WrongValue, option


@attrs.frozen
class Options:
    longest: int = option(1000, "Most addresses.")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("c2s:5222", ListenAddress("c2s", "", 5222)),
        ("c2s-tls:0", ListenAddress("c2s-tls", "", 0)),
        ("c2s:127.0.0.1:5222", ListenAddress("c2s", "127.0.0.1", 5222)),
        ("c2s:[::1]:5222", ListenAddress("c2s", "::1", 5222)),
    ],
)
def test_addresses_to_listen_on(text, address):
    assert ListenAddress.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5222",
        "c2s",
        "c2s:",
        "c2s:65536",
        "c2s:-1",
        "c2s:5222x",
        "c2s:²",
        "ftp:21",
        "c2s:::1:5222",
        "c2s:[::1:5222",
        "c2s:localhost:5222",
        "c2s:256.0.0.1:5222",
        "c2s:[127.0.0.1]:5222",
    ],
)
def test_what_is_no_address_to_listen_on(text):
    with pytest.raises(WrongValue):
        ListenAddress.parse(text)


def test_one_address_written_in_two_ways_is_listened_on_once():
    with pytest.raises(WrongValue, match="repetition"):
        ServerOptions(listen=("c2s:[::1]:5222", "c2s:[0::1]:5222"))


def test_without_a_file_there_is_one_host_localhost():
    config = Config.default({"blocking": Options}, {"streams": Options})
    assert dict(config.hosts) == {"localhost": HostOptions()}
    assert config.hosts["localhost"].use == ("default",)
    assert config.hosts["localhost"].checkers == (PythonName("imsuite"),)
    assert config.feature_options["localhost"]["blocking"].longest == 1000
    assert config.tables["streams"].longest == 1000
    assert [str(address) for address in config.server.addresses] == ["c2s:5222", "c2s-tls:5223"]


def test_the_database_is_in_the_data_directory_unless_told_otherwise(tmp_path):
    there = str(tmp_path / "a b")
    assert Config.make(ServerOptions(data=there)).store.endswith("/a%20b/imsuite.db")
    assert Config.make(ServerOptions(data=there)).directory == there
    assert Config.make(ServerOptions(store="sqlite:///x.db")).store == "sqlite:///x.db"


def test_where_data_goes(tmp_path, monkeypatch):
    here = str(tmp_path)
    monkeypatch.setattr(os, "access", lambda place, mode: True)
    assert data_directory({"IMSUITE_DATA": "/srv/x"}, here) == ("/srv/x", "$IMSUITE_DATA says so")
    assert data_directory({"STATE_DIRECTORY": "/var/lib/a:/b"}, here)[0] == "/var/lib/a"
    assert data_directory({}, here)[0] == f"{here}/imsuite-data"
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    where = data_directory({"XDG_DATA_HOME": "/home/romeo/data"}, here)
    assert where == ("/home/romeo/data/imsuite", f"{here} cannot be written")


def test_a_relative_data_directory_begins_where_the_server_starts():
    assert data_directory({"IMSUITE_DATA": "data"}, "/srv")[0] == "/srv/data"
