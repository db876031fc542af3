"""Arguments of commands are checked before anything is done with them."""

import attrs
import pytest

from imsuite.app.account_commands import NewAccount, NewAccounts
from imsuite.app.command import (
    Needs,
    NoArguments,
    Result,
    WrongArguments,
    argument,
    command,
    read,
)
from imsuite.app.commands import ALL, COMMANDS, interest
from imsuite.core.hooks import Interest


def test_arguments_are_read_with_their_defaults():
    assert read(NewAccount, {"jid": "a@b", "password": "x"}) == NewAccount("a@b", "x", False)


def test_arguments_may_hold_others():
    given = {"accounts": [{"jid": "a@b", "password": "x"}]}
    assert read(NewAccounts, given) == NewAccounts((NewAccount("a@b", "x"),))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"jid": "a@b"}, "password is missing"),
        ({"jid": "a@b", "password": 3}, "password must be a text"),
        ({"jid": "a@b", "password": "x", "admin": 1}, "admin must be true or false"),
        (
            {"jid": "a@b", "password": "x", "amin": 1},
            'there is no argument amin; did you mean "admin"?',
        ),
    ],
)
def test_wrong_arguments_are_named_and_not_shown(given, why):
    with pytest.raises(WrongArguments) as caught:
        read(NewAccount, given)
    assert str(caught.value) == why


def test_secrets_are_not_in_what_is_printed():
    assert "sesame" not in repr(NewAccounts((NewAccount("a@b", "sesame"),)))
    assert "sesame" not in repr(NewAccount("a@b", "sesame"))


def test_a_command_is_named_and_explained_by_its_function():
    @command(NoArguments, "what", needs=Needs.STORE)
    async def look(server, given):
        """Look around.

        More of it.
        """
        return Result()

    assert (look.name, look.doc, look.columns) == ("look", "Look around.", ("what",))


def test_every_command_says_what_it_does_and_takes():
    assert list(COMMANDS) == [each.name for each in ALL]
    for each in ALL:
        assert each.doc.endswith(".")
        assert each.columns
        assert all(field.metadata["doc"] for field in attrs.fields(each.arguments))


def test_arguments_say_what_a_form_needs():
    @attrs.frozen
    class Given:
        often: int = argument(1, "How often.", least=1, most=9)
        how: str = argument("well", "In which way.", choices=("well", "badly"))

    marks = attrs.fields_dict(Given)["often"].metadata
    assert (marks["least"], marks["most"], marks["doc"]) == (1, 9, "How often.")
    assert attrs.fields_dict(Given)["how"].metadata["choices"] == ("well", "badly")
    for given in ({"often": 0}, {"often": 10}, {"how": "oddly"}):
        with pytest.raises(WrongArguments):
            read(Given, given)


def test_interest_in_words():
    wanted = Interest(frozenset(("message",)), frozenset((None, "chat")), frozenset(("urn:x}y",)))
    assert interest(wanted) == "message, type=chat type=none, {urn:x}y"
    assert interest(Interest()) == "every"
