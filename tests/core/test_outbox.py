"""What goes out to a client: in order, whatever must wait."""

from hypothesis import given
from hypothesis import strategies as st

from imsuite.core.outbox import HELD, Outbox, Place
from imsuite.rules.traffic import Wait
from imsuite.xmpp.stanza import make


class Talking:
    """As much of a session as an outbox needs."""

    def __init__(self):
        self.written = []
        self.lost = []
        self.stream = self

    def write(self, raw):
        self.written.append(raw)

    def lose(self, place):
        self.lost.append(place.stanza.raw)


def place(session, id, ready=True, sender=None):
    made = Place(session, make("message", {"id": str(id), "from": sender}))
    made.ready = ready
    return made


def raws(places):
    return [each.stanza.raw for each in places]


@given(st.lists(st.booleans(), max_size=12), st.randoms(use_true_random=False))
def test_order_is_kept_whatever_becomes_ready_first(ready, random):
    """RFC 6120 §10.1"""
    session = Talking()
    outbox = Outbox(session)
    places = [place(session, number, now) for number, now in enumerate(ready)]
    for each in places:
        outbox.put(each)
    waiting = [each for each in places if not each.ready]
    random.shuffle(waiting)
    for each in waiting:
        each.ready = True
        outbox.flush()
    assert session.written == raws(places)
    assert len(outbox) == 0


@given(st.lists(st.sampled_from(("ready", "commit", "fail")), max_size=12))
def test_what_fails_leaves_no_gap(fates):
    session = Talking()
    outbox = Outbox(session)
    places = [place(session, number, fate == "ready") for number, fate in enumerate(fates)]
    for each in places:
        outbox.put(each)
    for each, fate in zip(places, fates, strict=True):
        if fate == "fail":
            outbox.cancel(each)
        each.ready = True
        outbox.flush()
    assert session.written == raws(
        each for each, fate in zip(places, fates, strict=True) if fate != "fail"
    )


def test_an_inactive_client_gets_all_with_what_is_urgent():
    """XEP-0352 §3.2"""
    session = Talking()
    outbox = Outbox(session)
    outbox.judge = lambda stanza: Wait.HOLD if int(stanza.id) < 3 else Wait.NOW
    places = [place(session, number) for number in range(4)]
    for each in places[:3]:
        outbox.put(each)
    assert session.written == []
    outbox.put(places[3])
    assert session.written == raws(places)


def test_only_the_newest_presence_of_each_waits():
    """XEP-0352 §3.2"""
    session = Talking()
    outbox = Outbox(session)
    outbox.judge = lambda stanza: Wait.LATEST
    places = [place(session, number, sender=f"{number % 2}@x/y") for number in range(6)]
    for each in places:
        outbox.put(each)
    outbox.judge = None
    outbox.flush()
    assert session.written == raws(places[4:])


def test_what_may_be_dropped_is():
    session = Talking()
    outbox = Outbox(session)
    outbox.judge = lambda stanza: Wait.NEVER
    outbox.put(place(session, 1))
    outbox.judge = None
    outbox.flush()
    assert session.written == []


def test_what_waits_for_an_inactive_client_is_bounded():
    session = Talking()
    outbox = Outbox(session)
    outbox.judge = lambda stanza: Wait.HOLD
    for number in range(HELD + 1):
        outbox.put(place(session, number))
    assert len(session.written) == HELD + 1


def test_what_a_session_never_got_is_given_back_in_order():
    """Also what becomes durable only after its end."""
    session = Talking()
    outbox = Outbox(session)
    places = [place(session, 0, ready=False), place(session, 1), place(session, 2, ready=False)]
    for each in places:
        outbox.put(each)
    outbox.close()
    assert session.lost == []
    places[0].ready = True
    outbox.flush()
    assert session.lost == raws(places[:2])
    places[2].ready = True
    outbox.flush()
    late = place(session, 3)
    outbox.put(late)
    assert session.lost == raws([*places, late])
    assert session.written == []
