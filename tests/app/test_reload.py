"""A reload takes what can be changed live, and tells what needs a restart."""

import attrs

from imsuite.app.configuration import parse
from imsuite.app.reload import changes, in_effect
from imsuite.core.options import option


@attrs.frozen
class Options:
    longest: int = option(1000, "Most addresses.", live=True)
    mode: str = option("soft", "How.")
    token: str = option("sesame", "A secret.", secret=True, live=True)


BASE = '[server]\nlog_level = "info"\n[hosts."a.org"]\n[hosts."a.org".features.blocking]\n'


def read(text):
    return parse(text.encode(), "x", {"blocking": Options}, {"streams": Options})


def told(old, new):
    live, restart = changes(read(old), read(new))
    return [str(change) for change in live], [str(change) for change in restart]


def test_nothing_changed():
    assert told(BASE, BASE) == ([], [])


def test_what_changes_live_and_what_does_not():
    new = BASE.replace("info", "debug") + 'mode = "hard"\nlongest = 7\n[streams]\nlongest = 8\n'
    assert told(BASE, new) == (
        [
            '[hosts."a.org".features.blocking] longest: 1000 -> 7',
            "[server] log_level: 'info' -> 'debug'",
            "[streams] longest: 1000 -> 8",
        ],
        ["[hosts.\"a.org\".features.blocking] mode: 'soft' -> 'hard'"],
    )


def test_a_secret_is_not_told():
    live, _ = told(BASE, BASE + 'token = "open"\n')
    assert live == ['[hosts."a.org".features.blocking] token has changed']


def test_hosts_come_and_go_with_a_restart():
    _, restart = told(BASE, BASE.replace("a.org", "b.org"))
    assert restart == [
        '[hosts."a.org"] was removed',
        '[hosts."a.org".features.blocking] was removed',
        '[hosts."b.org"] was added',
        '[hosts."b.org".features.blocking] was added',
    ]


def test_what_is_in_effect_after_a_reload():
    old = read(BASE)
    text = BASE.replace("info", "debug") + 'mode = "hard"\nlongest = 7\n[hosts."b.org"]\n'
    now = in_effect(old, read(text))
    assert now.server.log_level == "debug"
    assert now.feature_options["a.org"]["blocking"].longest == 7
    assert now.feature_options["a.org"]["blocking"].mode == "soft"
    assert list(now.hosts) == ["a.org"]
    assert changes(now, in_effect(now, read(text))) == ((), ())
