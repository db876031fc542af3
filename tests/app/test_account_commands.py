"""disable, enable, setadmin, admins, passwd and users, as imsuitectl gives them."""

import json

from imsuite.testing.server import serve
from tests.clients import Client


def test_accounts_are_disabled_and_enabled(config, ctl):
    """Also while no server runs."""
    file = config(rest='[hosts."example.org"]')
    for name in ("romeo", "juliet"):
        ctl(file, "adduser", f"{name}@example.org", stdin="pencil\n")
    assert ctl(file, "disable", "romeo@example.org").output == "romeo@example.org is disabled\n"
    listed = json.loads(ctl(file, "--json", "users", "--disabled").stdout)
    assert [row["account"] for row in listed] == ["romeo@example.org"]
    assert ctl(file, "enable", "romeo@example.org").output == "romeo@example.org may log in\n"
    assert json.loads(ctl(file, "--json", "users", "--disabled").stdout) == []
    refused = ctl(file, "disable", "nobody@example.org")
    assert (refused.exit_code, refused.output) == (
        1,
        "imsuitectl: there is no account nobody@example.org\n",
    )


def test_administrators_are_made(config, ctl):
    file = config(rest='[hosts."example.org"]\nadmins = ["nurse@example.net"]')
    ctl(file, "adduser", "romeo@example.org", stdin="pencil\n")
    added = ctl(file, "admin", "add", "romeo@example.org")
    assert added.output == "romeo@example.org is an administrator\n"
    listed = json.loads(ctl(file, "--json", "admin", "list").stdout)
    assert listed == [
        {"account": "romeo@example.org", "because": "command", "domain": "example.org"},
        {"account": "nurse@example.net", "because": "configuration", "domain": "example.org"},
    ]
    removed = ctl(file, "admin", "remove", "romeo@example.org")
    assert removed.output == "romeo@example.org is no administrator\n"
    assert len(json.loads(ctl(file, "--json", "admin", "list", "example.org").stdout)) == 1


def test_the_configuration_names_accounts(config, ctl):
    file = config(rest='[hosts."example.org"]\nadmins = ["example.net"]')
    refused = ctl(file, "users")
    assert refused.exit_code == 1
    assert "must be the address of an account" in refused.output


def test_a_new_password_ends_the_sessions(config, ctl):
    """RFC 6120 §4.9.3.16: who knew the old one is out."""
    with serve() as server:
        client = Client(server).log_in(server.account("juliet"), "balcony")
        file = config(data=server.service.config.directory, rest='[hosts."example.org"]')
        assert ctl(file, "passwd", "juliet@example.org", stdin="eraser\n").exit_code == 0
        assert b"<reset " in client.rest()
