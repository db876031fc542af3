"""The link that ends in memory behaves as links do (streams/ilink.py)."""

from imsuite.testing.memory_link import MemoryLink, MemoryTls


class Receiver:
    """Notes what it is told, and does in its turn what it was asked to."""

    def __init__(self, link, then=None):
        self.link = link
        self.told = []
        self.then = then
        link.receiver = self

    def data_received(self, data):
        self.told.append(data)
        if self.then is not None:
            self.then()
        assert self.told[-1] == data, "told something while inside a call to the link"

    def secured(self):
        self.told.append("secured")

    def writable(self):
        self.told.append("writable")

    def link_lost(self, reason):
        self.told.append(reason)


def test_bytes_go_both_ways():
    link = MemoryLink()
    receiver = Receiver(link, lambda: link.write(b"answer"))
    assert link.feed(b"question") == b"answer"
    assert link.take() == b""
    assert receiver.told == [b"question"]


def test_bytes_may_come_in_pieces():
    link = MemoryLink()
    receiver = Receiver(link)
    link.feed(b"12345", size=2)
    assert receiver.told == [b"12", b"34", b"5"]


def test_paused_bytes_wait():
    link = MemoryLink()
    receiver = Receiver(link, link.pause)
    link.feed(b"1")
    link.feed(b"2")
    assert receiver.told == [b"1"]
    link.resume()
    link.turn()
    assert receiver.told == [b"1", b"2"]


def test_tls_comes_after_the_receiver_is_done():
    link = MemoryLink(later_tls=MemoryTls({"tls-exporter": b"bound"}))
    receiver = Receiver(link, lambda: link.start_tls(None, (), "example.org"))
    link.feed(b"starttls")
    assert receiver.told == [b"starttls", "secured"]
    assert link.secure
    assert link.tls.channel_binding("tls-exporter") == b"bound"
    assert link.tls.channel_binding("tls-unique") is None
    assert link.started_tls == ((), "example.org")


def test_the_end_is_told_once_and_last():
    link = MemoryLink()
    receiver = Receiver(link, link.close)
    link.feed(b"1")
    link.feed(b"2")
    link.abort()
    link.lose()
    assert receiver.told == [b"1", "closed"]
    assert link.receiver is None


def test_what_was_written_before_closing_is_sent_and_nothing_after():
    link = MemoryLink()

    def end():
        link.write(b"bye")
        link.close()
        link.write(b"more")

    Receiver(link, end)
    assert link.feed(b"1") == b"bye"


def test_a_peer_that_reads_again_makes_the_link_writable():
    link = MemoryLink()
    receiver = Receiver(link)
    link.congested = True
    link.drain()
    assert receiver.told == ["writable"]
    assert not link.congested
