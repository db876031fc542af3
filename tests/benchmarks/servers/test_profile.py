"""All servers run with what a load asks for, and with nothing else."""

from pathlib import Path

import pytest

from benchmarks.loads.catalogue import LOADS
from benchmarks.servers.ejabberd import Ejabberd
from benchmarks.servers.profile import (
    ARCHIVE,
    BARE,
    MANAGEMENT,
    NODE,
    OFFLINE,
    OFFLINE_SQL,
    ROOM,
    ROOM_ARCHIVE,
    SEARCH,
    Profile,
)
from benchmarks.servers.prosody import Prosody

PROFILES = (
    BARE,
    ARCHIVE,
    SEARCH,
    MANAGEMENT,
    OFFLINE,
    OFFLINE_SQL,
    ROOM,
    ROOM_ARCHIVE,
    NODE,
)


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
        (profile.rooms, "muc", '" "muc"\n', "mod_muc:"),
        (profile.nodes, "pubsub", '" "pubsub"\n', "mod_pubsub:"),
        (profile.nodes, "pep", '"pep"', "- pep"),
        (profile.management, "management", '"smacks"', "mod_stream_mgmt:"),
        (profile.offline, "offline", '"offline"', "mod_offline:"),
    ):
        assert (ours in prosody) == wanted
        assert (theirs in ejabberd) == wanted
        assert (word not in profile.left_out) == wanted


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_archives_of_the_same_everywhere(tmp_path, profile):
    """ejabberd and imsuite have one feature for accounts and for rooms, Prosody has two."""
    prosody = written(Prosody, tmp_path, profile)
    ejabberd = written(Ejabberd, tmp_path, profile)
    assert ('"mam"' in prosody) == profile.archive
    assert ('"muc_mam"' in prosody) == profile.room_archive
    assert ("mod_mam:" in ejabberd) == (profile.archive or profile.room_archive)
    assert ("mam: true" in ejabberd) == profile.room_archive
    assert ("archive" not in profile.left_out) == (profile.archive or profile.room_archive)


def test_archives_are_in_sqlite(tmp_path):
    assert 'archive = "sql"' in written(Prosody, tmp_path, ARCHIVE)
    assert "db_type: sql\n" in written(Ejabberd, tmp_path, ARCHIVE)
    assert 'muc_log = "sql"' in written(Prosody, tmp_path, ROOM_ARCHIVE)


def test_loads_of_the_bare_server_have_no_extras():
    bare = [load.name for load in LOADS.values() if load.profile == BARE]
    assert {"flood", "one", "500", "1000", "login-tls", "idle"} <= set(bare)
    assert "carbons" in BARE.left_out
