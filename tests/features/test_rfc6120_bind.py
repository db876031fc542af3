"""RFC 6120 §7: resource binding."""

from xml.sax.saxutils import escape

import pytest

from imsuite.testing.memory import now
from tests.raw import BIND, PASSWORD, Raw, condition, names, plain

CORE = ["starttls", "sasl", "bind", "roster", "presence", "messages"]
pytestmark = pytest.mark.server(features=CORE)
JID = "{urn:ietf:params:xml:ns:xmpp-bind}jid"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


@pytest.fixture
def enter(server):
    """Return a function that logs romeo in, as far as binding."""
    server.account("romeo@example.org", PASSWORD)

    def enter(name="romeo"):
        raw = Raw(server, secure=True)
        raw.logs_in(f"{name}@example.org")
        return raw

    return enter


def jid(got):
    """Return the full JID in a result of binding."""
    (result,) = got
    assert result.get("type") == "result"
    (found,) = result.iter(JID)
    return found.text


def refused(got):
    """Return id, type and condition of an IQ error."""
    (answer,) = got
    (error,) = answer
    return answer.get("id"), error.get("type"), error[0].tag.removeprefix(STANZAS)


def test_it_is_offered_after_authentication_only(server):
    """§7.4, and the session of RFC 3921 as optional."""
    server.account("romeo@example.org", PASSWORD)
    features = Raw(server, secure=True).logs_in("romeo@example.org")
    assert names(features)[:2] == ["bind", "session"]
    assert names(features[1]) == ["optional"]


@pytest.mark.parametrize(
    "resource",
    ["balcony", "\U0001f339\U0001f339", "a b", "Bal/cony@x", "日本", "<&>'\"", "x" * 1023],
)
def test_wanted_resource_is_given(enter, resource):
    """§7.7.1, pitfall 13"""
    assert jid(enter().binds(escape(resource))) == f"romeo@example.org/{resource}"


def test_resource_is_normalised(enter):
    """RFC 8265 §4.2: composed, and other spaces are spaces."""
    assert jid(enter().binds("A\u030a\u00a0b")) == "romeo@example.org/\u00c5 b"


@pytest.mark.parametrize("resource", [" a", "a ", "\u0378", "x" * 1024, "\u007f"])
def test_resource_that_is_none_is_a_bad_request_and_another_may_follow(enter, resource):
    """§7.7.2.1"""
    raw = enter()
    assert refused(raw.binds(resource)) == ("b", "modify", "bad-request")
    assert jid(raw.binds("good", id="c")) == "romeo@example.org/good"


def test_server_gives_resources_that_nobody_guesses(enter):
    """§7.6.1"""
    found = {jid(enter().binds()) for _ in range(5)}
    assert len(found) == 5
    assert min(map(len, found)) >= len("romeo@example.org/") + 8


def test_empty_resource_is_none(enter):
    raw = enter()
    got = raw.says(BIND.format(id="b", resource="<resource/>"))
    assert len(jid(got)) > len("romeo@example.org/")


def test_only_the_authenticated_name_is_bound(enter):
    """§6.4.6, pitfall 7: "from" and "to" of the request mean nothing."""
    raw = enter()
    iq = BIND.format(id="b", resource="<resource>r</resource>")
    got = raw.says(iq.replace("<iq", "<iq from='juliet@example.org/x' to='example.org'"))
    assert jid(got) == "romeo@example.org/r"
    assert got[0].get("to") is None


def test_refusal_repeats_no_addresses(enter):
    raw = enter()
    iq = BIND.format(id="b", resource="<resource> </resource>")
    (got,) = raw.says(iq.replace("<iq", "<iq from='juliet@example.org/x' to='evil'"))
    assert (got.get("from"), got.get("to")) == (None, None)


@pytest.mark.parametrize(
    "said",
    [
        BIND.format(id="", resource=""),
        BIND.format(id="b", resource="").replace(" id='b'", ""),
        BIND.format(id="b", resource="").replace("'set'", "'get'"),
        "<iq type='set' id='b'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
        "<iq type='set' id='b'/>",
        "<message to='romeo@example.org'/>",
        "<presence/>",
    ],
)
def test_anything_else_before_it_ends_the_stream(enter, said):
    """§7.1, §4.9.3.12"""
    assert condition(enter().says(said)) == "not-authorized"


def test_second_binding_on_a_stream_is_refused(enter):
    """§7.7: one resource for one stream."""
    raw = enter()
    raw.binds("one")
    (answer,) = raw.binds("two", id="c")
    assert answer.get("type") == "error"
    assert raw.stream.session.resource == "one"


def test_session_request_has_nothing_left_to_do(enter):
    """RFC 3921 §3"""
    raw = enter()
    raw.binds("one")
    for to in ("", " to='example.org'"):
        (got,) = raw.says(
            f"<iq type='set' id='s'{to}><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"
        )
        assert got.get("type") == "result"


# conflicts and limits


def test_old_session_makes_room(server, enter):
    """§7.7.2.2, pitfall 10"""
    old, new = enter(), enter()
    old.binds("balcony")
    assert jid(new.binds("balcony")) == "romeo@example.org/balcony"
    assert condition(old.reads()) == "conflict"
    assert old.ended
    assert list(server.router.sessions) == ["romeo@example.org/balcony"]
    assert server.router.sessions["romeo@example.org/balcony"] is new.stream.session
    new.says("<message to='romeo@example.org/balcony' id='1'/>")
    assert 'id="1"' in new.text or "id='1'" in new.text


def test_old_session_makes_room_in_another_spelling(enter):
    """Pitfall 13: what is compared is the prepared form."""
    old, new = enter(), enter()
    old.binds("A\u030a")
    new.binds("\u00c5")
    assert condition(old.reads()) == "conflict"


def test_replacing_again_and_again_leaves_one(server, enter):
    for _ in range(5):
        enter().binds("balcony")
    assert len(server.router.sessions) == 1
    assert len(server.host.accounts["romeo"].sessions) == 1


@pytest.mark.server(features=CORE, options={"bind": {"conflict": "rename"}})
@pytest.mark.parametrize("resource", ["balcony", "x" * 1023, "\u65e5" * 341])
def test_new_session_may_be_renamed_instead(server, enter, resource):
    """§7.7.2.2: the other way."""
    old, new = enter(), enter()
    old.binds(resource)
    given = jid(new.binds(resource))
    assert given != f"romeo@example.org/{resource}"
    assert given.startswith(f"romeo@example.org/{resource[:100]}")
    assert not old.link.closed
    assert len(server.router.sessions) == 2


@pytest.mark.server(features=CORE, options={"bind": {"most": 2}})
@pytest.mark.parametrize("resource", ["third", ""])
def test_sessions_of_an_account_are_limited(server, enter, resource):
    """§7.6.2.1: whether or not a resource was asked for; the stream may wait for its turn."""
    first = enter()
    first.binds("first")
    enter().binds("second")
    third = enter()
    assert refused(third.binds(resource)) == ("b", "wait", "resource-constraint")
    assert len(server.router.sessions) == 2
    assert jid(third.binds("second", id="c")) == "romeo@example.org/second"
    first.says("</stream:stream>")
    assert jid(enter().binds("first")) == "romeo@example.org/first"


@pytest.mark.server(features=CORE, options={"bind": {"most": 1, "conflict": "rename"}})
def test_renaming_does_not_get_around_the_limit(enter):
    enter().binds("r")
    assert refused(enter().binds("r"))[2] == "resource-constraint"


def test_account_that_was_removed_meanwhile_has_no_sessions(server, enter):
    """Between authentication and binding."""
    raw = enter()
    now(server.host.registrar.delete("romeo"))
    assert condition(raw.binds("r")) == "not-authorized"
    assert server.router.sessions == {}
    assert server.host.accounts == {}


def test_account_that_was_put_aside_meanwhile_is_one_again(server, enter):
    """Two streams that logged in before and after: one account, not two."""
    first, second = enter(), None
    server.host.forget("romeo")
    second = enter()
    first.binds("one")
    second.binds("two")
    sessions = server.router.sessions
    assert len({id(session.account) for session in sessions.values()}) == 1
    assert set(server.host.accounts["romeo"].sessions) == {"one", "two"}


def test_limits_of_an_unbound_stream_end_with_binding(enter):
    """Pitfall S-3: tight before, wider after."""
    raw = enter()
    raw.binds("r")
    big = "x" * 60_000
    (got,) = raw.says(f"<message to='romeo@example.org/r'><body>{big}</body></message>")
    assert got[0].text == big


def test_stream_keeps_its_password_out_of_memory(enter):
    raw = enter()
    assert raw.stream.mechanism is None
    assert plain("romeo") not in repr(raw.stream)
