"""The first administrator."""

import re

from imsuite.app.first import first_administrator
from imsuite.testing.server import TestAccount
from tests.clients import Client


def test_the_first_account_is_made_and_told_once(imsuite_server, capfd):
    """Section 2 of the plan: made once, its address and password printed once; they are good."""
    server = imsuite_server
    for _ in range(2):
        server.run(first_administrator, server.service)
    told = capfd.readouterr().err
    (address,) = re.findall(r"address +(\S+)", told)
    (password,) = re.findall(r"password +(\S+)", told)
    assert address == "admin@example.org"
    Client(server).log_in(TestAccount(address, password), "here").close()
    (host,) = server.service.hosts.values()
    assert server.run(host.users.admins) == ["admin"]


def test_nobody_is_made_where_there_are_accounts(imsuite_server, capfd):
    """Whoever has users has chosen who administers them."""
    imsuite_server.account("romeo")
    imsuite_server.run(first_administrator, imsuite_server.service)
    assert "first account" not in capfd.readouterr().err
