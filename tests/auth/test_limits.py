"""Limits on failures (issue 2): guessing is slow, and the innocent get in."""

import attrs
import pytest
from twisted.internet.task import Clock

from imsuite.auth.limits import FailureLimits, LimitOptions, TooManyFailures, block

OFFICE, HOME, ATTACKER = "192.0.2.1", "198.51.100.7", "203.0.113.66"


@attrs.define
class Door:
    """People who try passwords, each waiting as long as told."""

    options: LimitOptions = attrs.field(factory=LimitOptions)
    clock: Clock = attrs.field(factory=Clock)
    limits: FailureLimits = attrs.field(init=False)

    def __attrs_post_init__(self):
        self.limits = FailureLimits(self.clock.seconds, self.options)

    def fails(self, address, account, times=1):
        """Try wrong passwords; return how many were looked at."""
        seen = 0
        for _ in range(times):
            try:
                attempt = self.limits.admit(address, account)
            except TooManyFailures:
                continue
            attempt.failed()
            seen += 1
        return seen

    def enters(self, address, account):
        """Try the right password; return the delay, or what was in the way."""
        try:
            attempt = self.limits.admit(address, account)
        except TooManyFailures as limit:
            return limit.which
        attempt.succeeded()
        return attempt.delay

    def crowd(self, address, accounts):
        """Begin attempts that nobody looks at yet, until one is refused; return the others."""
        attempts = []
        for account in accounts:
            try:
                attempts.append(self.limits.admit(address, account))
            except TooManyFailures:
                break
        return attempts

    def fails_for(self, seconds, address, account, every=1.0):
        """Try a wrong password again and again; return how many were looked at."""
        seen, until = 0, self.clock.seconds() + seconds
        while self.clock.seconds() < until:
            seen += self.fails(address, account)
            self.clock.advance(every)
        return seen


@pytest.fixture
def door():
    return Door()


def test_guesses_at_one_account_come_to_an_end(door):
    """One address, one account: ten, then one a minute"""
    assert door.fails(ATTACKER, "romeo", 1000) == 10
    assert door.enters(ATTACKER, "romeo") == "pair"
    assert door.fails_for(3600, ATTACKER, "romeo") <= 61


def test_guesses_at_many_accounts_come_to_an_end(door):
    """One address, a list of names: fifty, then two a minute"""
    assert sum(door.fails(ATTACKER, f"user{number}") for number in range(1000)) == 50
    assert door.enters(ATTACKER, "romeo") == "address"


def test_guesses_from_many_addresses_come_to_an_end(door):
    """A thousand addresses, one account"""
    assert sum(door.fails(f"203.0.{n // 250}.{n % 250}", "romeo") for n in range(1000)) == 50
    assert door.enters(ATTACKER, "romeo") == "account"
    assert door.enters(ATTACKER, "juliet") == 0.0


def test_unknown_names_are_limited_like_known_ones(door):
    """Pitfall 8: a limit must not tell which accounts exist; names are only strings here"""
    assert door.fails(ATTACKER, "not an account!", 100) == 10


def test_attempts_at_the_same_time_do_not_get_past(door):
    """Guesses are counted while they are looked at."""
    attempts = door.crowd(ATTACKER, ["romeo"] * 1000)
    assert len(attempts) == 10
    for attempt in attempts:
        attempt.failed()
        attempt.failed()
    assert door.enters(ATTACKER, "romeo") == "pair"


def test_what_was_dropped_does_not_count(door):
    """The link went away before anybody looked."""
    for _ in range(100):
        door.limits.admit(ATTACKER, "romeo").dropped()
    assert door.enters(ATTACKER, "romeo") == 0.0


def test_waiting_grows_before_anything_is_refused(door):
    """Delays rather than lock-outs"""
    delays = []
    for _ in range(10):
        attempt = door.limits.admit(HOME, "romeo")
        delays.append(attempt.delay)
        attempt.failed()
    assert delays == sorted(delays)
    assert delays[:6] == [0.0] * 6
    assert 0.0 < delays[6] < delays[9] <= 10.0


def test_a_forgetful_owner_gets_in_again(door):
    """A failure is forgotten after a minute"""
    door.fails(HOME, "romeo", 20)
    assert door.enters(HOME, "romeo") == "pair"
    door.clock.advance(61)
    assert door.enters(HOME, "romeo") > 0.0
    assert door.enters(HOME, "romeo") == 0.0


def test_a_neighbour_that_fails_for_ever_does_not_lock_the_office(door):
    """A shared address survives one broken client: known people, and new ones"""
    door.enters(OFFICE, "juliet")
    assert door.fails_for(86400, OFFICE, "romeo", every=5) > 1000
    assert door.enters(OFFICE, "juliet") == 0.0
    assert door.enters(OFFICE, "benvolio") == 0.0


def test_an_attacker_behind_the_same_address_does_not_lock_known_people_out(door):
    """A shared address survives: those who were in before are let in at once"""
    people = [f"user{number}" for number in range(100)]
    for person in people:
        door.enters(OFFICE, person)
    for _ in range(100):
        for number in range(1000):
            door.fails(OFFICE, f"guess{number}")
        door.clock.advance(10)
    while door.fails(OFFICE, "somebody new"):
        pass
    assert door.enters(OFFICE, "somebody new") in ("pair", "address")
    assert [door.enters(OFFICE, person) for person in people] == [0.0] * 100


def test_a_big_office_may_fail_more_often(door):
    """The top of an address rises with the accounts known there"""
    for number in range(40):
        door.enters(OFFICE, f"user{number}")
    assert sum(door.fails(OFFICE, f"new{number}") for number in range(1000)) == 250


def test_everybody_comes_back_at_once_after_a_restart(door):
    """A shared address, nobody known: successes count against nothing"""
    attempts = [door.limits.admit(OFFICE, f"user{number}") for number in range(2000)]
    assert {attempt.delay for attempt in attempts} == {0.0}
    for attempt in attempts:
        attempt.succeeded()
    assert door.enters(OFFICE, "user7") == 0.0


def test_a_stranger_cannot_lock_the_owner_out_of_home(door):
    """An address that has logged in keeps working, whatever happens elsewhere"""
    door.enters(HOME, "romeo")
    for _ in range(100):
        for number in range(200):
            door.fails(f"203.0.113.{number}", "romeo")
        door.clock.advance(10)
    assert door.enters("192.0.2.77", "romeo") == "account"
    assert door.enters(HOME, "romeo") == 0.0


def test_an_old_telephone_at_home_makes_the_owner_wait_and_no_more(door):
    """Same address, same account, wrong password without end"""
    door.enters(HOME, "romeo")
    door.fails_for(86400, HOME, "romeo", every=5)
    stuck = door.limits.admit(HOME, "romeo")
    assert stuck.delay > 5.0
    assert 0.0 < door.enters(HOME, "romeo") <= 10.0
    assert door.enters(HOME, "romeo") < 5.0
    stuck.failed()


def test_guesses_of_a_known_pair_are_bounded_by_their_waiting(door):
    """At most two wait at once, so that ten seconds each is two guesses in ten seconds"""
    door.enters(HOME, "romeo")
    door.fails(HOME, "romeo", 10)
    waiting = [door.limits.admit(HOME, "romeo") for _ in range(2)]
    assert all(attempt.delay == 10.0 for attempt in waiting)
    with pytest.raises(TooManyFailures):
        door.limits.admit(HOME, "romeo")


def test_failures_of_known_people_do_not_count_for_their_neighbours(door):
    """A mistyped password in the office"""
    for number in range(100):
        door.enters(OFFICE, f"user{number}")
        door.fails(OFFICE, f"user{number}", 5)
    assert door.enters(OFFICE, "somebody new") == 0.0


def test_attempts_that_wait_count_for_their_address(door):
    """Nobody gets past the top of an address by waiting in parallel"""
    for number in range(30):
        door.fails(ATTACKER, f"user{number}")
    assert len(door.crowd(ATTACKER, [f"next{number}" for number in range(1000)])) == 20


def test_being_known_is_forgotten_in_time_and_after_a_new_password(door):
    """30 days after the last success, or when somebody had to change the password"""
    door.enters(HOME, "romeo")
    assert door.limits.known.has(HOME, "romeo", door.clock.seconds())
    door.clock.advance(31 * 86400)
    assert not door.limits.known.has(HOME, "romeo", door.clock.seconds())
    assert door.limits.known.number(HOME) == 0
    door.enters(HOME, "romeo")
    door.limits.forget("romeo")
    door.limits.forget("romeo")
    assert not door.limits.known.has(HOME, "romeo", door.clock.seconds())
    assert door.limits.known.number(HOME) == 0


def test_tables_are_bounded():
    """Nothing that strangers fill may grow for ever"""
    door = Door(LimitOptions(entries=100, address=100_000))
    for number in range(1000):
        door.fails(f"203.{number % 200}.{number // 200}.9", f"user{number}")
        door.enters(f"198.51.100.{number % 200}", f"known{number}")
        door.enters(f"198.51.{number % 200}.1", "romeo")
        door.limits.admit_anonymous(f"203.{number % 200}.{number // 200}.9")
    tables = [getattr(door.limits, f"_{name}") for name in ("pairs", "addresses", "accounts")]
    assert all(len(table) <= 100 for table in (*tables, door.limits._anonymous))
    assert len(door.limits.known._accounts) == 100
    assert len(door.limits.known._accounts["romeo"]) == 16
    assert sum(door.limits.known._numbers.values()) == 99 + 16
    assert not any(getattr(door.limits, f"_{n}") for n in ("open_pairs", "open_accounts", "slowed"))


def test_one_account_cannot_push_the_others_out_of_what_is_known():
    """Somebody with an account and many addresses"""
    door = Door(LimitOptions(entries=100))
    door.enters(HOME, "juliet")
    for number in range(5000):
        door.enters(f"2001:db8:0:{number:x}::1", "mallory")
    assert door.limits.known.has(block(HOME), "juliet", 0.0)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("/run/imsuite.sock", "/run/imsuite.sock"),
    ],
)
def test_what_counts_as_one_address(address, counted):
    """IPv4 whole, IPv6 by /64: a household has at least that"""
    assert block(address) == counted


def test_anonymous_logins_of_an_address_are_limited(door):
    """XEP-0205: twenty, then one every ten seconds"""
    for _ in range(20):
        door.limits.admit_anonymous(ATTACKER)
    with pytest.raises(TooManyFailures):
        door.limits.admit_anonymous(ATTACKER)
    door.limits.admit_anonymous(HOME)
    door.clock.advance(11)
    door.limits.admit_anonymous(ATTACKER)
