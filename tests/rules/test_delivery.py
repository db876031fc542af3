"""RFC 6121 §8.5: delivery."""

import pytest

from imsuite.rules.delivery import VERDICTS, Action, Address, Verdict, verdict
from imsuite.xmpp.errors import StanzaError

# section | address | types | what happens, in the words of Action, and "error" for REFUSE
TABLE = """
8.5.1     | no account    | message  | -, normal, chat, groupchat, headline        | error
8.5.1     | no account    | message  | error                                       | silence
8.5.1     | no account    | presence | -, unavailable, error                       | silence
8.5.1     | no account    | presence | subscribe, subscribed                       | silence
8.5.1     | no account    | presence | unsubscribe, unsubscribed                   | silence
8.5.1     | no account    | presence | probe                                       | probe
8.5.1     | no account    | iq       | get, set                                    | error
8.5.1     | no account    | iq       | result, error                               | silence

8.5.2.1.1 | bare          | message  | -, normal, chat, headline                   | non negative
8.5.2.1.1 | bare          | message  | groupchat                                   | error
8.5.2.1.1 | bare          | message  | error                                       | silence
8.5.2.1.2 | bare          | presence | -, unavailable, error                       | available
8.5.2.1.2 | bare          | presence | subscribe, subscribed                       | subscription
8.5.2.1.2 | bare          | presence | unsubscribe, unsubscribed                   | subscription
8.5.2.1.2 | bare          | presence | probe                                       | probe
8.5.2.1.3 | bare          | iq       | get, set, result, error                     | server

8.5.2.1.1 | bare negative | message  | -, normal, chat                             | store
8.5.2.1.1 | bare negative | message  | groupchat                                   | error
8.5.2.1.1 | bare negative | message  | headline, error                             | silence
8.5.2.1.2 | bare negative | presence | -, unavailable, error                       | available
8.5.2.1.2 | bare negative | presence | subscribe, subscribed                       | subscription
8.5.2.1.2 | bare negative | presence | unsubscribe, unsubscribed                   | subscription
8.5.2.1.2 | bare negative | presence | probe                                       | probe
8.5.2.1.3 | bare negative | iq       | get, set, result, error                     | server

8.5.2.2.1 | bare nobody   | message  | -, normal, chat                             | store
8.5.2.2.1 | bare nobody   | message  | groupchat                                   | error
8.5.2.2.1 | bare nobody   | message  | headline, error                             | silence
8.5.2.2.2 | bare nobody   | presence | -, unavailable, error                       | silence
8.5.2.2.2 | bare nobody   | presence | subscribe, subscribed                       | subscription
8.5.2.2.2 | bare nobody   | presence | unsubscribe, unsubscribed                   | subscription
8.5.2.2.2 | bare nobody   | presence | probe                                       | probe
8.5.2.2.3 | bare nobody   | iq       | get, set, result, error                     | server

8.5.3.1   | full          | message  | -, normal, chat, groupchat, headline, error | this
8.5.3.1   | full          | presence | -, unavailable, error                       | this
8.5.3.1   | full          | presence | subscribe, subscribed                       | subscription
8.5.3.1   | full          | presence | unsubscribe, unsubscribed                   | subscription
8.5.3.1   | full          | presence | probe                                       | probe
8.5.3.1   | full          | iq       | get, set                                    | this if shared
8.5.3.1   | full          | iq       | result, error                               | this

8.5.3.2.1 | full nobody   | message  | chat                                        | as bare
8.5.3.2.1 | full nobody   | message  | -, normal, groupchat, headline              | error
8.5.3.2.1 | full nobody   | message  | error                                       | silence
8.5.3.2.2 | full nobody   | presence | -, unavailable, error                       | silence
8.5.3.2.2 | full nobody   | presence | subscribe, subscribed                       | subscription
8.5.3.2.2 | full nobody   | presence | unsubscribe, unsubscribed                   | subscription
8.5.3.2.2 | full nobody   | presence | probe                                       | probe
8.5.3.2.3 | full nobody   | iq       | get, set                                    | error
8.5.3.2.3 | full nobody   | iq       | result, error                               | silence

8.4       | domain        | message  | -, normal, chat, groupchat, headline        | server
8.4       | domain        | message  | error                                       | silence
8.4       | domain        | presence | -, unavailable, probe                       | server
8.4       | domain        | presence | subscribe, subscribed                       | server
8.4       | domain        | presence | unsubscribe, unsubscribed                   | server
8.4       | domain        | presence | error                                       | silence
8.4       | domain        | iq       | get, set, result, error                     | server
"""


def cells():
    """Yield address, kind, type and verdict of each cell."""
    for line in filter(str.strip, TABLE.splitlines()):
        _, where, kind, types, what = (cell.strip() for cell in line.split("|"))
        for type in types.split(", "):
            yield (
                Address[where.replace(" ", "_").upper()],
                kind,
                None if type == "-" else type,
                what,
            )


CELLS = list(cells())


@pytest.mark.parametrize(("address", "kind", "type", "what"), CELLS)
def test_cell(address, kind, type, what):
    """§8.4, §8.5"""
    found = verdict(address, kind, type)
    if what == "error":
        assert found == Verdict(Action.REFUSE, "service-unavailable")
    elif what == "this if shared":
        assert found == Verdict(Action.THIS, shared=True)
    else:
        assert found == Verdict(Action[what.replace(" ", "_").upper()])
    assert VERDICTS[address, kind, type] is found


def test_every_cell_is_tested_once():
    keys = [cell[:3] for cell in CELLS]
    assert len(keys) == len(set(keys)) == 7 * (6 + 8 + 4)
    assert set(keys) == set(VERDICTS)


@pytest.mark.parametrize(("address", "kind", "type"), [c[:3] for c in CELLS if c[2] == "error"])
def test_error_is_never_answered(address, kind, type):
    """RFC 6120 §8.3.1"""
    assert verdict(address, kind, type).action is not Action.REFUSE


@pytest.mark.parametrize("address", Address)
def test_message_of_unknown_type_is_a_normal_one(address):
    """§5.2.2"""
    assert verdict(address, "message", "shout") == verdict(address, "message", "normal")


@pytest.mark.parametrize(
    ("kind", "type"), [("iq", None), ("iq", "shout"), ("presence", "shout"), ("presence", "")]
)
def test_other_unknown_types_are_a_bad_request(kind, type):
    """§4.7.1; RFC 6120 §8.2.3"""
    with pytest.raises(StanzaError) as caught:
        verdict(Address.BARE, kind, type)
    assert caught.value.condition == "bad-request"


def test_iq_to_a_full_jid_asks_for_shared_presence():
    """§8.5.3.1: otherwise anyone could find out who is online."""
    assert verdict(Address.FULL, "iq", "get").shared
    assert not verdict(Address.FULL, "iq", "result").shared
