"""RFC 7622: addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.words.protocols.jabber.jid import JID as TwistedJID

from imsuite.xmpp import address
from imsuite.xmpp.address import (
    JID,
    InvalidAddress,
    domainpart,
    from_wokkel,
    localpart,
    make,
    parse,
    resourcepart,
    wokkel_jid,
)
from imsuite.xmpp.errors import ImsuiteError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("juliet@example.com", ("juliet", "example.com", "")),
        ("juliet@example.com/foo", ("juliet", "example.com", "foo")),
        ("juliet@example.com/foo bar", ("juliet", "example.com", "foo bar")),
        ("juliet@example.com/foo@bar", ("juliet", "example.com", "foo@bar")),
        ("foo\\20bar@example.com", ("foo\\20bar", "example.com", "")),
        ("fussball@example.com", ("fussball", "example.com", "")),
        ("fu\xdfball@example.com", ("fu\xdfball", "example.com", "")),
        ("\u03c0@example.com", ("\u03c0", "example.com", "")),
        ("\u03a3@example.com/foo", ("\u03c3", "example.com", "foo")),
        ("\u03c3@example.com/foo", ("\u03c3", "example.com", "foo")),
        ("\u03c2@example.com/foo", ("\u03c2", "example.com", "foo")),
        ("king@example.com/\u265a", ("king", "example.com", "\u265a")),
        ("example.com", ("", "example.com", "")),
        ("example.com/foobar", ("", "example.com", "foobar")),
        ("a.example.com/b@example.net", ("", "a.example.com", "b@example.net")),
    ],
)
def test_examples_of_addresses(text, parts):
    """§3.5, table of conforming addresses."""
    jid = parse(text)
    assert (jid.local, jid.domain, jid.resource) == parts


@pytest.mark.parametrize(
    "text",
    [
        '"juliet"@example.com',
        "foo bar@example.com",
        "juliet@example.com/ foo",
        "@example.com/",
        "henry\u2163@example.com",
        "\u265a@example.com",
        "juliet@",
        "/foobar",
    ],
)
def test_examples_of_what_is_no_address(text):
    """§3.5, table of violations."""
    with pytest.raises(InvalidAddress):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "/",
        "@example.com",
        "juliet@/foo",
        "juliet@example.com/",
        "a@b@example.com",
        " juliet@example.com",
        "juliet @example.com",
        "juliet@ example.com",
        "juliet@example.com ",
        "juliet@example.com/foo ",
        "juliet@example.com/\u3000foo",
        "juliet@example.com\n",
        "juliet@example.com/foo\n",
        "juliet@example.com/fo\x00o",
        "juliet@example.com/fo\x7fo",
        "juliet@exa\tmple.com",
        "juliet@example..com",
        "juliet@.example.com",
        "juliet@example.com..",
        "juliet@.",
        "juliet@-example.com",
        "juliet@example-.com",
        "juliet@exa_mple.com",
        "juliet@exa'mple.com",
        "juliet@xn--a.com",
        "juliet@ab--c.com",
        "juliet@\u2603.com",
        "juliet@[::1",
        "juliet@[fe80::1%eth0]",
        "juliet@[127.0.0.1]",
        "juliet@::1",
        "\ud800@example.com",
        "juliet@\ud800.com",
        "juliet@example.com/\ud800",
        "\ud83d\ude00@example.com".encode("utf-16", "surrogatepass").decode("utf-16"),
        "ju\u00adliet@example.com",
        "juliet@example.com/\u202efoo",
        "juliet@example.com/\ufeff",
        "juliet@example.com/\ue000",
    ],
)
def test_a_text_that_breaks_a_rule_is_refused_not_repaired(text):
    """§3.2-§3.4"""
    with pytest.raises(InvalidAddress) as caught:
        parse(text)
    assert isinstance(caught.value, ImsuiteError)
    assert caught.value.condition == "jid-malformed"


@pytest.mark.parametrize("character", "\"&'/:<>@ \t\u2100\uff20\uff0f\uff1a")
def test_localpart_excludes_characters_that_mean_something_elsewhere(character):
    """§3.3.1; also where width mapping makes one of them."""
    with pytest.raises(InvalidAddress):
        localpart(f"juliet{character}")


def test_localpart_is_mapped_to_lower_case_and_ordinary_width():
    """§3.3.1; RFC 8265 §3.3"""
    assert localpart("JULIET") == "juliet"
    assert localpart("\uff2a\uff35liet") == "juliet"
    assert localpart("J\u00dc") == localpart("ju\u0308") == "j\u00fc"


def test_resource_keeps_its_case():
    """§3.4.1"""
    assert resourcepart("Balcony") == "Balcony"
    assert parse("a@b/Balcony") != parse("a@b/balcony")


def test_resource_has_one_kind_of_space():
    """RFC 8265 §4.2.2"""
    assert resourcepart("a\u00a0b") == resourcepart("a\u3000b") == "a b"


@pytest.mark.parametrize(
    "emoji", ["\U0001f600", "\u2764", "\U0001f44d\U0001f3fd", "\U0001f1eb\U0001f1f7"]
)
def test_emoji_may_stand_in_a_resource_but_not_in_a_localpart(emoji):
    """§3.4: FreeformClass; §3.3: IdentifierClass."""
    assert parse(f"a@b/{emoji}").resource == emoji
    with pytest.raises(InvalidAddress):
        localpart(emoji)


@pytest.mark.parametrize("part", [localpart, resourcepart])
def test_part_is_as_long_as_1023_octets_and_no_longer(part):
    """§3.1; octets, not characters."""
    assert part("x" * 1023) == "x" * 1023
    assert part("\u00fc" * 511) == "\u00fc" * 511
    for text in ("x" * 1024, "\u00fc" * 512, ""):
        with pytest.raises(InvalidAddress):
            part(text)


def test_long_ascii_address_is_measured_part_by_part():
    """§3.1"""
    local, resource = "a" * 1023, "r" * 1023
    assert parse(f"{local}@example.com/{resource}").resource == resource
    for text in (f"{local}a@example.com", f"a@example.com/{resource}r", f"a@{'b.' * 200}com"):
        with pytest.raises(InvalidAddress):
            parse(text)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("B\xdcCHER.example", "b\xfccher.example"),
        ("xn--bcher-kva.example", "b\xfccher.example"),
        ("XN--Bcher-KVA.example", "b\xfccher.example"),
        ("bu\u0308cher\u3002example", "b\xfccher.example"),
        ("fa\xdf.example", "fa\xdf.example"),
        ("\uff25xample.com", "example.com"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ("[::ffff:192.0.2.1]", "[::ffff:c000:201]"),
    ],
)
def test_domain_has_one_form(text, domain):
    """§3.2: U-labels in lower case, no dot at the end, IP addresses in brackets or as IPv4."""
    assert domainpart(text) == domain
    assert parse(f"a@{text}/b") == parse(f"a@{domain}/b")


def test_escapes_are_compared_as_they_are():
    """XEP-0106 §4.3"""
    assert parse("a\\40b@example.com").local == "a\\40b"
    assert parse("a\\5c40b@example.com") != parse("a\\40b@example.com")


def test_parts_of_an_address():
    jid = parse("Juliet@Example.com/Balcony")
    assert jid.bare == "juliet@example.com"
    assert jid.full == str(jid) == "juliet@example.com/Balcony"
    assert jid.to_bare() == parse("juliet@example.com")
    assert jid.with_resource("Balc\u00f3n").full == "juliet@example.com/Balc\u00f3n"
    assert make("Juliet", "Example.com", "Balcony") == jid
    assert make("", "example.com").full == "example.com"
    assert {jid: 1}[make("juliet", "example.com", "Balcony")] == 1
    assert jid != "juliet@example.com/Balcony"
    assert repr(jid) == "JID('juliet@example.com/Balcony')"
    with pytest.raises(InvalidAddress):
        jid.with_resource("")


def test_error_does_not_repeat_what_it_refuses():
    """What a peer sent does not go to a log or to somebody else."""
    with pytest.raises(InvalidAddress) as caught:
        parse("se cret@example.com")
    assert "cret" not in str(caught.value)


# properties

ASCII = st.text(st.characters(max_codepoint=127), max_size=12)
LIKELY = st.text(
    "aZ09-._~\\ @/[]:'xn\u00df\u0130\u03a3\u00e9e\u0301\uff21\u3002\u200d\u05d0\u0660", max_size=12
)


def outcome(function, *arguments):
    """Return what a function returns, or InvalidAddress if it raises that."""
    try:
        return function(*arguments)
    except InvalidAddress:
        return InvalidAddress


@given(st.one_of(ASCII, LIKELY, st.text(max_size=12)))
def test_prepared_address_stays_as_it_is(text):
    """RFC 8264 §7: preparing twice is preparing once; nothing but InvalidAddress is raised."""
    jid = outcome(parse, text)
    if jid is not InvalidAddress:
        again = parse(str(jid))
        assert again == jid
        assert (again.local, again.domain, again.resource, again.bare) == (
            jid.local,
            jid.domain,
            jid.resource,
            jid.bare,
        )
        assert make(jid.local, jid.domain, jid.resource) == jid
        assert all(len(part.encode()) <= 1023 for part in (jid.local, jid.domain, jid.resource))


@given(
    st.one_of(
        ASCII,
        st.from_regex(r"\A([!-~]{1,6}@)?[a-z0-9.-]{1,10}(/[ -~]{1,6})?\Z"),
        st.from_regex(r"\A[a-z]@(xn--[a-z0-9-]{1,8}|[a-z0-9]{2}--[a-z]|[a-z0-9-]{1,6})\.de\Z"),
    )
)
def test_quick_way_agrees_with_the_whole_way(text):
    """What the regular expression for prepared ASCII addresses takes, PRECIS and IDNA take too."""
    quick, whole = outcome(address._parse, text), outcome(address._parse_any, text)
    assert quick == whole
    if isinstance(quick, JID):
        assert (quick.local, quick.domain, quick.resource, quick.bare) == (
            whole.local,
            whole.domain,
            whole.resource,
            whole.bare,
        )


@pytest.mark.parametrize("code", range(128))
def test_every_ascii_character_fares_alike_both_ways(code):
    for shape in ("a{}b@c", "{}@c", "a@b{}c.d", "a@{}", "a@b/c{}d", "a@b/{}"):
        text = shape.format(chr(code))
        assert outcome(address._parse, text) == outcome(address._parse_any, text)


# the cache


@pytest.fixture
def empty_cache(monkeypatch):
    monkeypatch.setattr(address, "_young", {})
    monkeypatch.setattr(address, "_old", {})


def test_address_is_parsed_once(empty_cache):
    assert parse("Juliet@example.com") is parse("Juliet@example.com")


def test_cache_has_a_bound_and_keeps_what_is_in_use(empty_cache, monkeypatch):
    """fastpath §6: an outsider cannot make it grow."""
    monkeypatch.setattr(address, "REMEMBERED", 20)
    kept = parse("juliet@example.com")
    for number in range(200):
        parse(f"stranger{number}@example.com")
        assert parse("juliet@example.com") is kept
        assert len(address._young) + len(address._old) <= 20


def test_long_addresses_and_refused_texts_are_not_kept(empty_cache):
    parse("a@example.com/" + "r" * 200)
    outcome(parse, "@")
    assert not address._young
    assert not address._old


# wokkel's addresses


def test_wokkel_gets_an_address_that_equals_its_own():
    ours = wokkel_jid(parse("juliet@example.com/balcony"))
    theirs = TwistedJID("juliet@example.com/balcony")
    assert isinstance(ours, TwistedJID)
    assert ours == theirs
    assert hash(ours) == hash(theirs)
    assert ours.full() == theirs.full()
    assert ours.userhost() == theirs.userhost()
    assert ours.userhostJID() == theirs.userhostJID()
    assert wokkel_jid(parse("example.com")) == TwistedJID("example.com")


def test_wokkel_gets_addresses_that_stringprep_refuses():
    """Pitfalls S-4, S-5."""
    jid = parse("ma\u00dfe@example.com/\U0001f600")
    theirs = wokkel_jid(jid)
    assert theirs.full() == jid.full
    assert theirs.userhostJID().full() == jid.bare
    assert from_wokkel(theirs) == jid
    assert from_wokkel(TwistedJID("Juliet@example.com/a")) == parse("juliet@example.com/a")
