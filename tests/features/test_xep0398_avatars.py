"""XEP-0398: the avatar of the nodes is the photo of the card, and the reverse."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsuite.testing.memory import MemoryServer
from tests.eventing import PUBSUB, asks, comes, configure, events, items, publish
from tests.helpers import fitting, holds, iq_error

DATA, METADATA = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"
PNG, OTHER = b"\x89PNG\r\n\x1a\n one", b"\x89PNG\r\n\x1a\n other"
OPEN = {"access_model": "open"}


def sha(data):
    """Return the id of a picture."""
    return hashlib.sha1(data).hexdigest()


def b64(data):
    """Return Base64 as text."""
    return base64.b64encode(data).decode()


def metadata(data, **more):
    """Return the payload of the metadata node."""
    more = "".join(f" {name}='{value}'" for name, value in more.items())
    info = f"<info id='{sha(data)}' bytes='{len(data)}' type='image/png'{more}/>"
    return f"<metadata xmlns='{METADATA}'>{info}</metadata>"


def puts_data(client, data, options=OPEN, id=None, text=None):
    """Let a client publish the data of an avatar."""
    payload = f"<data xmlns='{DATA}'>{text or b64(data)}</data>"
    client.says(publish(DATA, payload, item=id or sha(data), options=options))


def puts_metadata(client, data, options=OPEN, **more):
    """Let a client publish the metadata of an avatar."""
    client.says(publish(METADATA, metadata(data, **more), item=sha(data), options=options))


def puts(client, data, options=OPEN):
    """Let a client publish an avatar as XEP-0084 §3 says."""
    puts_data(client, data, options)
    puts_metadata(client, data, options)


def stores(client, inner):
    """Let a client store a card."""
    client.says(f"<iq type='set' id='v'><vCard xmlns='vcard-temp'>{inner}</vCard></iq>")
    return client.received[-1]


def photo(data, type="image/png"):
    """Return the photo of a card."""
    type = f"<TYPE>{type}</TYPE>" if type else ""
    return f"<PHOTO>{type}<BINVAL>{b64(data)}</BINVAL></PHOTO>"


def card(client, to=None):
    """Return a card as a client gets it."""
    to = f" to='{to}'" if to else ""
    return client.says(f"<iq type='get' id='c'{to}><vCard xmlns='vcard-temp'/></iq>")[-1]


def shows(client, data):
    """Let a client put a photo into its card."""
    stores(client, f"<FN>R</FN>{photo(data)}")


def shows_nothing(client):
    """Let a client take the photo out of its card."""
    stores(client, "<FN>R</FN>")


def hides(client):
    """Let a client disable its avatar."""
    client.says(publish(METADATA, f"<metadata xmlns='{METADATA}'/>", options=OPEN))


def takes_back(client):
    """Let a client take back what it published."""
    for data in (PNG, OTHER):
        for node in (METADATA, DATA):
            asks(client, f"<retract node='{node}'><item id='{sha(data)}'/></retract>", "set")


def item(node, id, payload):
    """Return a pattern of the items of a node."""
    inner = f"<items node='{node}'><item id='{id}'>{payload}</item></items>"
    return f"<iq type='result'><pubsub xmlns='{PUBSUB}'>{inner}</pubsub></iq>"


def avatar(client):
    """Return the metadata of a client's own avatar."""
    return items(client, METADATA)


def test_avatar_becomes_the_photo(romeo, juliet):
    """§3.1: for strangers, too; the rest of the card stays."""
    stores(romeo, "<FN>Romeo</FN>")
    puts(romeo, PNG)
    found = card(juliet, "romeo@example.org")
    assert holds(
        found,
        f"<iq type='result'><vCard xmlns='vcard-temp'><FN>Romeo</FN>{photo(PNG)}</vCard></iq>",
    )


def test_avatar_of_who_has_no_card_makes_one(romeo):
    """§3.1"""
    puts(romeo, PNG)
    assert b64(PNG) in card(romeo)


def test_presence_says_the_new_avatar(friends):
    """§4: at once."""
    romeo, juliet = friends
    puts(romeo, PNG)
    update = f"<x xmlns='vcard-temp:x:update'><photo>{sha(PNG)}</photo></x>"
    assert len(fitting(juliet.received, f"<presence>{update}</presence>")) == 1


def test_card_is_there_when_the_publication_is_acknowledged(romeo):
    """§3.1: the presence with the hash comes before the result."""
    puts_data(romeo, PNG)
    romeo.forget()
    puts_metadata(romeo, PNG)
    kinds = [stanza.kind for stanza in romeo.stanzas if stanza.kind != "message"]
    assert kinds == ["presence", "iq"]


def test_data_that_come_after_the_metadata_are_taken(romeo):
    """§3.1: some clients have the order wrong."""
    puts_metadata(romeo, PNG)
    assert "BINVAL" not in card(romeo)
    puts_data(romeo, PNG)
    assert b64(PNG) in card(romeo)


def test_form_that_is_elsewhere_is_not_taken(romeo):
    """§3.1: the info element that does not point to a URL."""
    puts_data(romeo, PNG)
    info = f"<info id='{sha(OTHER)}' bytes='9' type='image/gif' url='http://x.example/a.gif'/>"
    payload = metadata(PNG).replace("<info", f"{info}<info", 1)
    romeo.says(publish(METADATA, payload, item=sha(PNG), options=OPEN))
    assert b64(PNG) in card(romeo)
    puts_metadata(romeo, OTHER, url="http://x.example/a.png")
    assert b64(PNG) in card(romeo)


@pytest.mark.parametrize(
    ("id", "text"),
    [
        (sha(PNG), b64(OTHER)),  # another picture than its id says
        (sha(PNG), "this is no Base64!"),
        (sha(PNG), " "),
        ("another", None),
    ],
)
def test_data_that_do_not_fit_are_not_taken(romeo, id, text):
    """§3.1: the hash is verified."""
    stores(romeo, photo(OTHER))
    puts_data(romeo, PNG, id=id, text=text)
    puts_metadata(romeo, PNG)
    assert b64(OTHER) in card(romeo)


@pytest.mark.parametrize("model", ["presence", "whitelist", None])
def test_avatar_that_is_not_for_everybody_is_not_copied(romeo, model):
    """§7: the access model of the data node is open, or there is no conversion."""
    puts(romeo, PNG, {} if model is None else {"access_model": model})
    assert "BINVAL" not in card(romeo)


def test_copy_goes_when_the_avatar_is_for_some_only(romeo):
    """§7: what was put into the card for everybody does not stay there when it is out of date."""
    puts(romeo, PNG)
    configure(romeo, DATA, access_model="presence")
    puts(romeo, OTHER, {})
    assert "BINVAL" not in card(romeo)


def test_photo_of_the_user_stays_when_the_avatar_is_for_some_only(romeo):
    """§7: that is no copy."""
    puts(romeo, PNG, {})
    stores(romeo, photo(OTHER))
    puts(romeo, PNG, {})
    assert b64(OTHER) in card(romeo)


@pytest.mark.parametrize(
    "inner", ["", "<stop xmlns='urn:xmpp:avatar:metadata'/>"], ids=["empty", "stop"]
)
def test_disabled_avatar_is_no_photo(friends, inner):
    """XEP-0084 §3.5"""
    romeo, juliet = friends
    stores(romeo, "<FN>R</FN>")
    puts(romeo, PNG)
    romeo.says(publish(METADATA, f"<metadata xmlns='{METADATA}'>{inner}</metadata>"))
    assert "PHOTO" not in card(juliet, "romeo@example.org")
    empty = "<presence><x xmlns='vcard-temp:x:update'><photo/></x></presence>"
    assert fitting(juliet.received, empty)


def test_avatar_that_was_taken_back_is_no_photo(romeo):
    """XEP-0060 §7.2"""
    stores(romeo, "<FN>R</FN>")
    puts(romeo, PNG)
    asks(romeo, f"<retract node='{METADATA}'><item id='{sha(PNG)}'/></retract>", "set")
    assert "PHOTO" not in card(romeo)


@pytest.mark.server(options={"vcard": {"largest": 1024}})
def test_avatar_too_large_for_a_card_is_published(romeo):
    """§3.1: the limit of cards does not hold for nodes."""
    stores(romeo, photo(PNG))
    large = PNG + bytes(1000)
    puts(romeo, large)
    assert sha(large) in avatar(romeo)
    assert b64(PNG) in card(romeo)


def test_photo_becomes_the_avatar(friends):
    """§3.2: data and metadata, under the hash; who asked for metadata is told."""
    romeo, juliet = friends
    comes(juliet, METADATA)
    juliet.forget()
    assert holds(stores(romeo, photo(PNG)), "<iq type='result' id='v'/>")
    assert holds(
        items(romeo, DATA),
        item(DATA, sha(PNG), f"<data xmlns='{DATA}'>{b64(PNG)}</data>"),
    )
    assert holds(avatar(romeo), item(METADATA, sha(PNG), metadata(PNG)))
    (event,) = events(juliet, METADATA)
    assert sha(PNG) in event.raw.decode()


def test_nodes_made_for_a_photo_are_open(romeo, juliet):
    """§3.2: everybody sees the card."""
    stores(romeo, photo(PNG))
    assert b64(PNG) in items(juliet, DATA, to="romeo@example.org")
    puts(romeo, OTHER, {})
    assert b64(OTHER) in card(juliet, "romeo@example.org")


def test_type_is_that_of_the_data(romeo):
    """§3.2, XEP-0153 §5"""
    stores(romeo, photo(b"GIF89a something", "image/png"))
    assert "type='image/gif'" in avatar(romeo)
    stores(romeo, photo(b"something", "image/x-icon"))
    assert "type='image/x-icon'" in avatar(romeo)


@pytest.mark.parametrize(
    "inner",
    [
        photo(b"<script/>", "text/html"),
        photo(b"what is this", None),
        "<PHOTO><TYPE>image/png</TYPE><BINVAL>no Base64!</BINVAL></PHOTO>",
        "<PHOTO><EXTVAL>http://x.example/a.png</EXTVAL></PHOTO>",
        "<PHOTO/>",
    ],
)
def test_what_is_no_picture_is_no_avatar(romeo, inner):
    """§3.2: a valid photo."""
    assert holds(stores(romeo, inner), "<iq type='result' id='v'/>")
    assert holds(avatar(romeo), iq_error("items", "item-not-found"))


def test_card_without_its_photo_disables_the_avatar(romeo):
    """§3.2 with XEP-0084 §3.5"""
    puts(romeo, PNG)
    stores(romeo, "<FN>R</FN>")
    assert sha(PNG) not in avatar(romeo)
    assert f"<metadata xmlns='{METADATA}'/>" in avatar(romeo)


def test_card_whose_photo_is_the_avatar_publishes_nothing(romeo):
    """§3: no loop, and no event for what is as it was."""
    comes(romeo, METADATA)
    puts(romeo, PNG)
    romeo.forget()
    stores(romeo, f"<FN>R</FN>{photo(PNG)}")
    assert events(romeo) == []


def test_each_change_is_told_once(romeo):
    """§3: no loop."""
    comes(romeo, METADATA)
    romeo.forget()
    puts(romeo, PNG)
    stores(romeo, photo(OTHER))
    puts(romeo, PNG)
    told = [PNG, OTHER, PNG]
    assert [sha(data) in event.raw.decode() for data, event in zip(
        told, events(romeo, METADATA), strict=True
    )] == [True] * 3  # fmt: skip


def test_photo_of_somebody_whose_nodes_refuse_is_in_the_card(romeo):
    """§3.2: an error there is no error of the card."""
    configure(romeo, DATA, max_payload_size="10")
    asks(romeo, f"<create node='{DATA}'/>", "set")
    assert holds(configure(romeo, DATA, max_payload_size="10"), "<iq type='result'/>")
    assert holds(stores(romeo, photo(PNG)), "<iq type='result' id='v'/>")
    assert b64(PNG) in card(romeo)


def test_support_is_advertised(romeo):
    """§2: on the account."""
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    answer = romeo.says(f"<iq type='get' id='d' to='romeo@example.org'>{query}</iq>")[-1]
    assert "urn:xmpp:pep-vcard-conversion:0" in answer


PICTURE = st.sampled_from([PNG, OTHER])
DEED = st.one_of(
    st.tuples(st.sampled_from([puts, puts_data, puts_metadata, shows]), PICTURE),
    st.tuples(st.sampled_from([hides, takes_back, shows_nothing])),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(DEED, max_size=8), PICTURE)
def test_card_and_nodes_agree_whoever_changes_them(deeds, last):
    """§3: after whatever was done, a whole avatar is in both, and presence says the same."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    try:
        for deed, *given in deeds:
            deed(romeo, *given)
        for deed, *given in [(puts, last), (shows, last), (puts, last)]:
            deed(romeo, *given)
            assert b64(last) in card(romeo)
            assert sha(last) in avatar(romeo)
            assert b64(last) in items(romeo, DATA)
            assert server.host.features["vcard"].photo_hash(romeo.session.account) == sha(last)
            assert sha(last) in romeo.says("<presence/>")[0]
        hides(romeo)
        assert "BINVAL" not in card(romeo)
        shows(romeo, last)
        shows_nothing(romeo)
        assert sha(last) not in avatar(romeo)
    finally:
        server.stop()
    assert server.failures.take() == []


@pytest.mark.parametrize("card", ["", "ours", "theirs"])
def test_card_follows_what_was_published_before_a_crash(card):
    """§3.1: as the server was killed between the two; unless the card may be newer."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    if card == "ours":
        puts(romeo, OTHER)
    server = MemoryServer(features=["default", "-avatars"], before=server)
    romeo = server.login("romeo@example.org/orchard")
    puts(romeo, PNG)  # which nobody converts
    if card == "theirs":
        stores(romeo, photo(OTHER))
    server = MemoryServer(before=server)
    romeo = server.login("romeo@example.org/orchard")
    romeo.says("<iq type='get' id='card'><vCard xmlns='vcard-temp'/></iq>")
    assert b64(OTHER if card == "theirs" else PNG) in romeo.received[-1]
    server.stop()
