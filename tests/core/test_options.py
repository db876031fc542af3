"""Options have a meaning and checks, which hold wherever a value comes from (§9)."""

import os

import attrs
import pytest

from imsuite.core.options import (
    WrongValue,
    domain,
    each,
    ge,
    le,
    matches,
    nearest,
    nonempty,
    one_of,
    option,
    path,
    port,
    unique,
)


@attrs.frozen
class Options:
    longest: int = option(1000, "Most addresses.", ge(1), le(5000), live=True)
    token: str | None = option(None, "A secret.", nonempty, secret=True)
    hosts: tuple[str, ...] = option((), "Domains.", each(domain))


def test_defaults_hold_and_values_are_checked_in_code_too():
    assert Options().longest == 1000
    assert Options(hosts=["EXAMPLE.org."]).hosts == ("example.org",)
    with pytest.raises(WrongValue, match="at least 1"):
        Options(longest=0)


def test_none_means_not_set():
    assert Options(token=None).token is None


def test_a_secret_is_not_shown():
    assert "sesame" not in repr(Options(token="sesame"))


def test_what_an_option_means_is_kept_beside_it():
    marks = attrs.fields(Options).longest.metadata
    assert marks["doc"] == "Most addresses."
    assert marks["live"]
    assert [check.doc for check in marks["checks"]] == ["At least 1.", "At most 5000."]


def test_an_option_without_a_sentence_is_refused():
    with pytest.raises(ValueError, match="is a sentence"):
        option(1, "longest")


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (ge(1), 1, 0),
        (le(9), 9, 10),
        (one_of("a", "b"), "b", "c"),
        (matches("[a-z]+", "letters"), "abc", "abc\n"),
        (nonempty, "a", ""),
        (unique, ("a", "b"), ("a", "a")),
        (port, 65535, 65536),
        (port, 1, 0),
        (domain, "example.org", "exa mple"),
        (each(port), (1, 2), (1, 0)),
        (path, "/etc", ""),
        (path, "/etc", "/etc\0"),
    ],
)
def test_checks(check, good, bad):
    assert check.apply(good) == good
    with pytest.raises(WrongValue):
        check.apply(bad)


def test_a_wrong_item_is_named_by_its_place():
    with pytest.raises(WrongValue) as caught:
        each(port).apply([1, 2, 0])
    assert caught.value.place == 2


def test_paths_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert path.apply("imsuite.pem") == os.path.join(tmp_path, "imsuite.pem")


def test_the_nearest_word_is_offered_only_if_it_is_near():
    assert nearest("longst", ["most", "longest"]) == '; did you mean "longest"?'
    assert nearest("colour", ["most", "longest"]) == ""
