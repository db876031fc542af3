"""XEP-0082: dates and times. Moments are integers, microseconds since 1970 UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from imsuite.xmpp.errors import StanzaError

SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONE = r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?"
_date = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})").fullmatch
_time = re.compile(rf"{_TIME}{_ZONE}?").fullmatch
_datetime = re.compile(rf"(?P<date>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})T{_TIME}{_ZONE}").fullmatch


class InvalidTime(StanzaError):
    """The text is no date or time of XEP-0082. Answered with bad-request."""

    def __init__(self, profile: str) -> None:
        super().__init__("bad-request", text=f"not a {profile} of XEP-0082")


def format_datetime(moment: int) -> str:
    """Return a moment as DateTime in UTC (§3.2), with six digits of fraction unless they are 0.

    Raises OverflowError outside the years 1 to 9999.
    """
    seconds, micros = divmod(moment, SECOND)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
    return f"{text}.{micros:06d}Z" if micros else f"{text}Z"


def parse_datetime(text: str) -> int:
    """Return the moment that a DateTime names (§3.2). Raises InvalidTime.

    What comes after the microseconds is cut off; a leap second is refused, as in XML Schema.
    """
    match = _datetime(text)
    if match is None:
        raise InvalidTime("DateTime")
    try:
        day = date.fromisoformat(match["date"])
        within = _within_day(match)
        zone = _zone(match["zone"])
    except ValueError:
        raise InvalidTime("DateTime") from None
    return (day.toordinal() - _EPOCH.toordinal()) * DAY + within - zone * 60 * SECOND


def format_date(day: date) -> str:
    """Return a day as Date (§3.1)."""
    return day.isoformat()


def parse_date(text: str) -> date:
    """Return the day that a Date names (§3.1). Raises InvalidTime."""
    if _date(text) is None:
        raise InvalidTime("Date")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidTime("Date") from None


def format_time(within: int) -> str:
    """Return a time of day, in microseconds since midnight UTC, as Time (§3.3)."""
    return format_datetime(within % DAY)[11:]


def parse_time(text: str) -> tuple[int, int | None]:
    """Return the time of day that a Time names (§3.3) and its zone. Raises InvalidTime.

    The time is in microseconds since midnight there; the zone in minutes ahead of UTC, or None
    where the text names none.
    """
    match = _time(text)
    if match is None:
        raise InvalidTime("Time")
    try:
        return _within_day(match), None if match["zone"] is None else _zone(match["zone"])
    except ValueError:
        raise InvalidTime("Time") from None


def format_zone(minutes: int) -> str:
    """Return minutes ahead of UTC as a time zone definition (§2.1), as XEP-0202 wants it."""
    hours, minutes_left = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{minutes_left:02d}"


def _within_day(match: re.Match[str]) -> int:
    """Return microseconds since midnight. Raises ValueError."""
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError
    micros = int((match["fraction"] or "")[:6].ljust(6, "0"))
    return ((hour * 60 + minute) * 60 + second) * SECOND + micros


def _zone(text: str) -> int:
    """Return minutes ahead of UTC. Raises ValueError."""
    if text == "Z":
        return 0
    hours, minutes = int(text[1:3]), int(text[4:6])
    ahead = hours * 60 + minutes
    if minutes > 59 or ahead > 14 * 60:  # XML Schema part 2, §3.2.7.3
        raise ValueError
    return -ahead if text[0] == "-" else ahead
