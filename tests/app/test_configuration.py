"""A mistake in the configuration stops the start with its line and the nearest word (§9)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import pytest

from imsuite.app.config import ConfigError, HostOptions, PythonName
from imsuite.app.configuration import load, parse
from imsuite.core.options import each, ge, le, nonempty, one_of, option, port


@attrs.frozen
class Offer:
    shorthand: ClassVar[str] = "host"

    host: str = option(attrs.NOTHING, "Where.", nonempty)
    port: int = option(3478, "Port.", port)


@attrs.frozen
class Options:
    longest: int = option(1000, "Most addresses.", ge(1), le(5000))
    ratio: float = option(0.5, "A part of the whole.")
    loud: bool = option(False, "Say it.")
    mode: str = option("soft", "How.", one_of("soft", "hard"))
    token: str | None = option(None, "A secret.", nonempty, secret=True)
    ports: tuple[int, ...] = option((), "Ports.", each(port))
    offers: tuple[Offer, ...] = option((), "Others.")
    words: Mapping[str, int] = option({}, "By name.")
    free: Mapping[str, Any] = option({}, "Anything.")


@attrs.frozen
class NoOptions:
    pass


FEATURES = {"blocking": Options, "version": NoOptions}
BLOCKING = '[hosts."example.org".features.blocking]'


def read(text, **keywords):
    return parse(text.encode(), "etc/imsuite.toml", FEATURES, **keywords)


def problems(text, **keywords):
    with pytest.raises(ConfigError) as caught:
        read(text, **keywords)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all(problem.startswith("etc/imsuite.toml:") for problem in caught.value.problems)
    return [problem.removeprefix("etc/imsuite.toml:") for problem in caught.value.problems]


def options(text):
    config = read(f"{BLOCKING}\n{text}\n")
    return config.feature_options["example.org"]["blocking"]


def test_all_that_can_be_written_is_read():
    config = read(
        """
        [server]
        listen = ["c2s:127.0.0.1:5222"]
        log_level = "debug"
        [hosts."Example.ORG"]
        certificate = "/etc/a.pem"
        use = ["default", "-version"]
        checkers = ["imsuite", { name = "a.B", arguments = ["/etc/x", 1], options = { y = true } }]
        [hosts."Example.ORG".features.blocking]
        longest = 200
        [hosts."müller.example"]
        [services."echo.example.org"]
        handlers = ["wokkel.ping.PingHandler"]
        [streams]
        longest = 7
        """,
        tables={"streams": Options},
    )
    assert config.server.log_level == "debug"
    assert list(config.hosts) == ["example.org", "müller.example"]
    host = config.hosts["example.org"]
    assert host.use == ("default", "-version")
    assert host.checkers[0] == PythonName("imsuite")
    assert host.checkers[1] == PythonName("a.B", ("/etc/x", 1), {"y": True})
    assert config.feature_options["example.org"]["blocking"].longest == 200
    assert config.feature_options["müller.example"]["blocking"].longest == 1000
    assert config.services["echo.example.org"].handlers == (PythonName("wokkel.ping.PingHandler"),)
    assert config.tables["streams"].longest == 7
    assert config.file == "etc/imsuite.toml"


def test_types_of_options():
    assert options("ratio = 1").ratio == 1.0
    assert options("loud = true").loud is True
    assert options('token = "x"').token == "x"
    assert options("ports = [1, 2]").ports == (1, 2)
    assert options('offers = ["a", { host = "b", port = 1 }]').offers == (Offer("a"), Offer("b", 1))
    assert options("words = { a = 1 }").words == {"a": 1}
    assert options('free = { a = ["x"] }').free == {"a": ["x"]}


def test_without_hosts_there_is_localhost_with_options_for_all():
    config = read("[features.blocking]\nlongest = 7\n")
    assert config.hosts == {"localhost": HostOptions()}
    assert config.feature_options["localhost"]["blocking"].longest == 7


def test_a_host_overrides_what_is_set_for_all():
    text = "[features.blocking]\nlongest = 7\nloud = true\n"
    blocking = read(text + BLOCKING + "\nlongest = 8\n").feature_options["example.org"]["blocking"]
    assert (blocking.longest, blocking.loud) == (8, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("longst = 1", 'longst: no such option; did you mean "longest"?'),
        ("xyz = 1", "xyz: no such option"),
        ('longest = "1"', 'longest: must be a whole number, not "1"'),
        ("longest = true", "longest: must be a whole number, not true"),
        ("longest = 1.5", "longest: must be a whole number, not 1.5"),
        ("longest = [1]", "longest: must be a whole number, not a list"),
        ("longest = 1979-05-27", "longest: must be a whole number, not 1979-05-27"),
        ("longest = 0", "longest: 0 must be at least 1"),
        ("longest = 5001", "longest: 5001 must be at most 5000"),
        ('ratio = "x"', 'ratio: must be a number, not "x"'),
        ("ratio = true", "ratio: must be a number, not true"),
        ("loud = 1", "loud: must be true or false, not 1"),
        ("mode = 1", "mode: must be a text, not 1"),
        ('mode = "sof"', 'mode: "sof" must be one of "soft", "hard"; did you mean "soft"?'),
        ("token = 12345", "token: must be a text, not this"),
        ('token = ""', "token: must be not empty"),
        ("ports = 1", "ports: must be a list, each item a whole number, not 1"),
        ('ports = [1, "2"]', 'ports[2]: must be a whole number, not "2"'),
        ("ports = [1, 0]", "ports[2]: 0 must be a port, from 1 to 65535"),
        ("offers = [{}]", "offers[1].host: is missing"),
        (
            'offers = [{ host = "a", prt = 1 }]',
            'offers[1].prt: no such option; did you mean "port"?',
        ),
        ("offers = [1]", "offers[1]: must be a table, not 1"),
        ("words = { a = 1, b = 'x' }", 'words.b: must be a whole number, not "x"'),
        ('longest = "\\u001b[31m\\n"', 'longest: must be a whole number, not "\\x1b[31m\\n"'),
    ],
)
def test_a_mistake_in_an_option(line, said):
    """File, line, table, option, what is wrong, and the nearest known word."""
    assert problems(f"# first\n{BLOCKING}\n{line}\n") == [f"3: {BLOCKING} {said}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sever]", '1: [sever]: no such table; did you mean "server"?'),
        ('listen = ["c2s:1"]', "1: listen: no such option outside a table"),
        ("server = 1", "1: [server]: must be a table, not 1"),
        ("[server]\nlisten = []", "2: [server] listen: must be not empty"),
        (
            '[server]\nlisten = [\n"c2s:1",\n"x:2"]',
            '4: [server] listen[2]: "x:2" must begin with c2s or c2s-tls',
        ),
        ('[hosts]\n[hosts."a b"]', '2: [hosts."a b"]: is not a domain'),
        ("[hosts.a]\n[hosts.A]", '2: [hosts."A"]: is the same domain as "a"'),
        ("[hosts]\na = 1", '2: [hosts."a"]: must be a table, not 1'),
        ("[hosts.a]\nusr = []", '2: [hosts."a"] usr: no such option; did you mean "use"?'),
        ("[hosts.a]\nfeature = []", '2: [hosts."a"] feature: no such option; did you mean'),
        (
            '[hosts.a]\nfeatures = ["default"]',
            '2: [hosts."a"] features: must be a table, not a list; the list of features is called',
        ),
        (
            '[hosts.a]\nuse = ["default",\n"-blockin"]',
            '3: [hosts."a"] use[2]: no such feature as "blockin"; did you mean "blocking"?',
        ),
        (
            "[hosts.a.features.blockng]",
            '1: [hosts."a".features.blockng]: no such feature; did you mean "blocking"?',
        ),
        (
            "[hosts.a.features]\nblocking = 1",
            '2: [hosts."a".features] blocking: must be a table, not 1',
        ),
        ("[features.version]\nx = 1", "2: [features.version] x: no such option"),
        ("[services.a]", '1: [services."a"] handlers: is missing'),
        (
            '[hosts.a]\n[services.a]\nhandlers = ["x.Y"]',
            '2: [services."a"]: this domain is a host already',
        ),
        ("x = 1\nx = 2\n", "2: Cannot overwrite a value (column 6)"),
        ("x = [1,\n", "1: Invalid value"),
        (
            '[hosts.a]\nfeatures = ["default"]\n[hosts.a.features.blocking]',
            "3: Cannot declare",
        ),
    ],
)
def test_a_mistake_elsewhere(text, said):
    (problem,) = problems(text)
    assert problem.startswith(said)
    assert "\n" not in problem


def test_all_mistakes_are_told_in_the_order_of_lines():
    text = f"[server]\nlog_level = 1\nx = 1\nlisten = 2\n{BLOCKING}\nlongest = 0\nloud = 2\n"
    assert [problem.split(":")[0] for problem in problems(text)] == ["2", "3", "4", "6", "7"]


def test_a_list_of_features_that_hides_their_options_is_explained():
    """TOML does not let a key be a list and a table."""
    text = '[hosts.a]\nfeatures = ["default"]\n[hosts.a.features.blocking]\n'
    assert 'the list of features is called "use"' in problems(text)[0]


def test_lines_of_a_file_from_windows():
    assert problems("[server]\r\nx = 1\r\n") == ["2: [server] x: no such option"]


def test_a_file_that_is_not_utf_8():
    with pytest.raises(ConfigError, match=r"^f:2: is not UTF-8$"):
        parse(b"[server]\n# \xff\n", "f", FEATURES)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"imsuite\.toml: No such file or directory$"):
        load(str(tmp_path / "imsuite.toml"), FEATURES)


def test_a_file_is_loaded(tmp_path):
    file = tmp_path / "imsuite.toml"
    file.write_text('[hosts."example.org"]\n')
    assert list(load(str(file), FEATURES).hosts) == ["example.org"]
