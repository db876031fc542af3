"""XEP-0463: versions of the affiliations of a room.

A version is the time of a change in µs. Others see it with a code that only the room can make, so
that who names a version has been told of it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping

import attrs

from imsuite.rules.affiliations import Affiliation
from imsuite.xmpp.stanza import quoted
from imsuite.xmpp.times import DAY

NS_MAV = "urn:xmpp:muc:affiliations:1"
REMEMBERED = 30 * DAY  # for how long it is known who has no affiliation any more
MOST = 200  # items of one message
_CODE = 16  # hexadecimal digits


@attrs.frozen
class Known:
    """An affiliation since a version (µs)."""

    affiliation: Affiliation
    version: int


@attrs.frozen
class Part:
    """A message of an answer (§4.2.1). since: None where it begins a full list."""

    since: int | None
    until: int
    items: tuple[tuple[str, Affiliation], ...]  # bare JID or domain, and what it is


def token(secret: str, version: int) -> str:
    """Return how others see a version. secret: of the room."""
    number = f"{version:x}"
    code = hmac.new(secret.encode(), f"affiliations {number}".encode(), "sha256").hexdigest()
    return f"{number}.{code[:_CODE]}"


def read_token(secret: str, text: str) -> int | None:
    """Return the version that `token` made it of, None if it did not."""
    number = text.partition(".")[0]
    if len(number) > _CODE or not number.isascii() or not number.isalnum():
        return None
    try:
        version = int(number, 16)
    except ValueError:
        return None
    made = token(secret, version)
    return version if hmac.compare_digest(made.encode(), text.encode()) else None


def mav(secret: str, since: int | None, until: int) -> bytes:
    """Return the element that names versions (§4.2)."""
    begin = b"" if since is None else b" since=" + quoted(token(secret, since))
    return b"<mav xmlns='%s'%s until=%s/>" % (
        NS_MAV.encode(),
        begin,
        quoted(token(secret, until)),
    )


def mav_steps(secret: str, version: int, changes: Mapping[str, int]) -> dict[str, bytes]:
    """Return by address the element that a notification of its change has (§4.2.2).

    version: of the room before; changes: versions by address, in order; those that are not newer
    change no list.
    """
    steps = {}
    for jid, new in changes.items():
        if new > version:
            steps[jid] = mav(secret, version, new)
            version = new
    return steps


def answer(
    known: Mapping[str, Known],
    since: int | None,
    visible: Callable[[Affiliation], bool],
) -> Iterator[Part]:
    """Yield what tells somebody the affiliations, nothing if they are known (§4.2.1).

    known: by address, also those who ceased to have any, for as long as is REMEMBERED; since:
    the version that the observer knows, None for none; visible: whether the observer may know
    who has an affiliation; for others these have none.
    """
    version = max((each.version for each in known.values()), default=0)
    if since is not None and (since > version or since < version - REMEMBERED):
        since = None
    items: list[tuple[int, tuple[str, Affiliation]]] = []
    for jid, each in sorted(known.items(), key=lambda item: item[1].version):
        affiliation = each.affiliation if visible(each.affiliation) else Affiliation.NONE
        if since is None:
            if affiliation is not Affiliation.NONE:
                items.append((each.version, (jid, affiliation)))
        elif each.version > since:
            items.append((each.version, (jid, affiliation)))
    if since is None and not items:
        yield Part(None, version, ())
    for begin in range(0, len(items), MOST):
        part = items[begin : begin + MOST]
        until = version if begin + MOST >= len(items) else part[-1][0]
        yield Part(since, until, tuple(item for _, item in part))
        since = until
