"""All servers run with what a load asks for, and with nothing else."""

from pathlib import Path

import pytest

from benchmarks.loads.catalogue import LOADS
from benchmarks.servers.ejabberd import Ejabberd
from benchmarks.servers.profile import (
    ARCHIVE,
    BARE,
    MANAGEMENT,
    OFFLINE,
    OFFLINE_SQL,
    SEARCH,
    Profile,
)
from benchmarks.servers.prosody import Prosody

PROFILES = (BARE, ARCHIVE, SEARCH, MANAGEMENT, OFFLINE, OFFLINE_SQL)


def written(kind: type[Prosody] | type[Ejabberd], folder: Path, profile: Profile) -> str:
    """Return the configuration that a server gets."""
    server = kind(folder=folder, certificate=folder / "certificate.pem", profile=profile)
    server.configure()
    (file,) = folder.glob("*.yml" if kind is Ejabberd else "*.cfg.lua")
    return file.read_text()


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_same_features_everywhere(tmp_path, profile):
    prosody = written(Prosody, tmp_path, profile)
    ejabberd = written(Ejabberd, tmp_path, profile)
    for wanted, word, ours, theirs in (
        (profile.archive, "archive", '"mam"', "mod_mam:"),
        (profile.management, "management", '"smacks"', "mod_stream_mgmt:"),
        (profile.offline, "offline", '"offline"', "mod_offline:"),
    ):
        assert (ours in prosody) == wanted
        assert (theirs in ejabberd) == wanted
        assert (word not in profile.left_out) == wanted


def test_archives_are_in_sqlite(tmp_path):
    assert 'archive = "sql"' in written(Prosody, tmp_path, ARCHIVE)
    assert "db_type: sql\n" in written(Ejabberd, tmp_path, ARCHIVE)


def test_loads_of_the_bare_server_have_no_extras():
    bare = [load.name for load in LOADS.values() if load.profile == BARE]
    assert {"flood", "one", "500", "1000", "login-tls", "idle"} <= set(bare)
    assert "carbons" in BARE.left_out
