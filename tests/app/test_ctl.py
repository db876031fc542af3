"""imsuitectl, on the store while no server runs, and through the socket of one that does."""

import json
import os

import pytest
from click.testing import CliRunner

from imsuite.app.ctl import main
from imsuite.auth.secrets import Verifiers, check_password
from imsuite.testing.server import serve
from tests.clients import Client

PASSWORD = "a most secret word"


def rows(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def running():
    with serve("example.org") as server:
        yield server


@pytest.fixture
def live(running, config):
    """The configuration file of the server that runs."""
    return config(data=running.service.config.directory, rest='[hosts."example.org"]')


@pytest.fixture(params=["stopped", "running"])
def either(request):
    """A configuration file, with and without a server."""
    if request.param == "running":
        return request.getfixturevalue("live")
    file = request.getfixturevalue("config")(rest='[hosts."example.org"]')
    ctl = request.getfixturevalue("ctl")
    ctl(file, "adduser", "first@example.org", stdin="x\n")
    ctl(file, "deluser", "first@example.org", "--yes")
    return file


# --- accounts ---------------------------------------------------------------------------------


def test_the_life_of_an_account(ctl, either):
    added = ctl(either, "adduser", "Romeo@example.org", "--admin", stdin=f"{PASSWORD}\n")
    assert (added.exit_code, added.stdout) == (0, "romeo@example.org was made\n")
    (romeo,) = rows(ctl(either, "--json", "users"))
    assert romeo["account"] == "romeo@example.org"
    assert (romeo["admin"], romeo["disabled"], romeo["sessions"]) == (True, False, 0)
    changed = ctl(either, "passwd", "romeo@example.org", "--password-stdin", stdin="other\n")
    assert (changed.exit_code, changed.stdout) == (0, "romeo@example.org has a new password\n")
    removed = ctl(either, "deluser", "romeo@example.org", "--yes")
    assert (removed.exit_code, removed.stdout) == (0, "romeo@example.org was removed\n")
    assert rows(ctl(either, "--json", "users")) == []


@pytest.mark.parametrize(
    ("words", "stdin", "line"),
    [
        (["adduser", "romeo@example.com"], "x\n", "did you mean"),
        (["adduser", "example.org"], "x\n", "is no address of an account"),
        (["adduser", "romeo@example.org/x"], "x\n", "is no address of an account"),
        (["adduser", "ro meo@example.org"], "x\n", "is no address"),
        (["adduser", "romeo@example.org"], "", "there is no password on standard input"),
        (["adduser", "romeo@example.org"], "a\x07b\n", ""),
        (["passwd", "nobody@example.org"], "x\n", "there is no account nobody@example.org"),
        (["deluser", "nobody@example.org", "--yes"], "", "there is no account"),
        (["users", "example.net"], "", "example.net is no host of this server"),
    ],
)
def test_what_is_refused_says_why_in_one_line(ctl, either, words, stdin, line):
    result = ctl(either, *words, stdin=stdin)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("imsuitectl: ")
    assert line in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_account_is_made_once(ctl, either):
    ctl(either, "adduser", "twice@example.org", stdin="x\n")
    again = ctl(either, "adduser", "twice@example.org", stdin="x\n")
    ctl(either, "deluser", "twice@example.org", "--yes")
    assert (again.exit_code, again.stderr) == (1, "imsuitectl: twice@example.org exists\n")


@pytest.mark.parametrize("words", [["adduser"], ["adduser", "a@b", "--from", "-"], ["nothing"]])
def test_wrong_use_has_a_status_of_its_own(ctl, config, words):
    assert ctl(config(), *words).exit_code == 2


def test_nobody_is_removed_without_being_asked_about(ctl, either):
    result = ctl(either, "deluser", "romeo@example.org")
    assert (result.exit_code, "--yes" in result.stderr) == (2, True)


def test_many_accounts_at_once(ctl, either, tmp_path):
    """In batches; what can not be made is told, the others are made."""
    lines = [f"many{number}@example.org pass word {number}" for number in range(70)]
    lines[40] = "many0@example.org x"
    lines[50] = "many@example.net x"
    lines.insert(3, "")
    (tmp_path / "accounts").write_text("\n".join(lines))
    result = ctl(either, "adduser", "--from", str(tmp_path / "accounts"))
    assert (result.exit_code, result.stdout) == (1, "68 of 70 accounts were made\n")
    assert result.stderr.splitlines() == [
        "imsuitectl: many0@example.org: many0@example.org exists",
        "imsuitectl: many@example.net: example.net is no host of this server;"
        ' did you mean "example.org"?',
    ]
    names = {row["account"] for row in rows(ctl(either, "--json", "users", "example.org"))}
    assert len(names) == 68


def test_a_line_without_a_password_makes_nobody(ctl, config):
    result = ctl(config(), "adduser", "--from", "-", stdin="romeo@localhost x\njuliet@localhost\n")
    assert result.stderr == "imsuitectl: line 2 is not an address, a space and a password\n"
    assert not (config().parent / "data").exists()


def test_a_database_is_made_for_a_first_account_only(ctl, config):
    """Whoever looks for accounts where there are none has mistaken the directory, and is told."""
    file = config()
    database = file.parent / "data/imsuite.db"
    absent = ctl(file, "users")
    assert absent.exit_code == 1
    assert absent.stderr.endswith(f"and {database} is not there\n")
    made = ctl(file, "adduser", "romeo@localhost", stdin="x\n")
    assert made.stderr == f"imsuitectl: made a new database, {database}\n"
    assert ctl(file, "adduser", "juliet@localhost", stdin="x\n").stderr == ""


def test_the_password_is_what_was_written(running, ctl, live):
    """All of the line, spaces and all; and with the iterations of the configuration."""
    ctl(live, "adduser", "space@example.org", stdin=" two  words \r\n")
    text = running.run(running.service.hosts["example.org"].users.verifiers, "space")
    kept = Verifiers.parse(text)
    assert check_password(kept, " two  words ")
    assert {each.iterations for each in kept.by_hash.values()} == {4096}


def test_the_iterations_of_the_configuration_are_used(ctl, config):
    file = config()
    file.write_text(file.read_text().replace("4096", "4097"))
    ctl(file, "adduser", "romeo@localhost", stdin="x\n")
    database = file.parent / "data/imsuite.db"
    assert b"SCRAM-SHA-256$4097:" in database.read_bytes()


def test_a_password_is_asked_for_twice_on_a_terminal(config):
    """On a terminal of its own, as a person has it; nothing of it is shown."""
    import pty
    import subprocess
    import sys

    controller, terminal = pty.openpty()
    words = ["--config", str(config()), "adduser", "romeo@localhost"]
    process = subprocess.Popen(
        [sys.executable, "-m", "imsuite.app.ctl", *words],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(terminal)
    shown = b""
    for question in (b"Password: ", b"Repeat for confirmation: "):
        while question not in shown:
            shown += os.read(controller, 1000)
        os.write(controller, PASSWORD.encode() + b"\n")
    while b"was made" not in shown:
        shown += os.read(controller, 1000)
    assert process.wait(30) == 0
    os.close(controller)
    assert PASSWORD.encode() not in shown


def _take_terminal():
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


# --- looking ----------------------------------------------------------------------------------


def test_features_and_whether_they_are_on(ctl, either):
    found = {row["feature"]: row for row in rows(ctl(either, "--json", "features"))}
    assert found["sasl"]["on"] is True
    assert found["sasl"]["host"] == "example.org"
    assert found["sasl"]["specification"].startswith("RFC 6120")
    assert all(isinstance(row["advertises"], list) for row in found.values())


def test_a_feature_that_is_off_advertises_nothing(ctl, config):
    file = config(rest='[hosts."example.org"]\nuse = ["default", "-ping"]')
    found = {row["feature"]: row for row in rows(ctl(file, "--json", "features"))}
    assert (found["ping"]["on"], found["ping"]["advertises"]) == (False, [])


def test_json_may_be_asked_for_behind_the_command(ctl, config):
    file = config()
    found = ctl(file, "features", "--json")
    assert found.stdout == ctl(file, "--json", "features").stdout
    assert rows(found)
    assert ctl(file, "features", "--", "--json").exit_code == 1  # there it is the name of a domain


def test_hooks_in_the_order_of_their_stages(ctl, either):
    found = rows(ctl(either, "--json", "hooks", "example.org"))
    stages = ["guard", "amend", "record", "copy"]
    for hook in {row["hook"] for row in found}:
        order = [
            stages.index(row["stage"]) for row in found if row["hook"] == hook and row["stage"]
        ]
        assert order == sorted(order)
    assert {"OUTGOING", "INCOMING", "BOUND"} <= {row["hook"] for row in found}
    assert any(row["feature"] == "presence" for row in found)
    assert all(row["interest"] for row in found if row["handler"])


def test_sessions_and_the_end_of_one(running, ctl, live):
    romeo = Client(running).log_in(running.account("romeo"), "orchard")
    romeo.send("<presence><priority>5</priority></presence>")
    romeo.until(b"<presence")
    (session,) = rows(ctl(live, "--json", "sessions"))
    assert session["session"] == "romeo@example.org/orchard"
    assert session["peer"].startswith("127.0.0.1:")
    assert (session["tls"], session["sasl"]) == ("TLSv1.3", "SCRAM-SHA-1")
    assert (session["available"], session["priority"]) == (True, 5)
    assert 0 <= session["idle"] < 60
    assert session["since"].startswith("20")
    for jid, count in (
        ("romeo@example.org", 1),
        ("romeo@example.org/garden", 0),
        ("example.org", 1),
    ):
        assert len(rows(ctl(live, "--json", "sessions", jid))) == count
    absent = ctl(live, "kick", "romeo@example.org/garden")
    assert absent.stderr == "imsuitectl: there is no session of romeo@example.org/garden\n"
    kicked = ctl(live, "kick", "romeo@example.org", "--text", "<go> & rest")
    assert kicked.stdout == "romeo@example.org/orchard was ended\n"
    said = romeo.rest()
    assert b"<policy-violation" in said
    assert b"&lt;go&gt; &amp; rest" in said
    assert said.endswith(b"</stream:stream>")


def test_a_text_that_would_break_the_stream_is_refused(ctl, live):
    result = ctl(live, "kick", "romeo@example.org", "--text", "a\x01b")
    assert (result.exit_code, result.stderr) == (2, "imsuitectl: text must be a line of text\n")


@pytest.mark.parametrize("words", [["sessions"], ["kick", "a@localhost"], ["reload"], ["status"]])
def test_what_needs_a_server_says_that_none_runs(ctl, config, words):
    result = ctl(config(), *words)
    assert result.exit_code == 1
    assert result.stderr.startswith("imsuitectl: no server runs on /")


def test_status(running, ctl, live):
    found = {row["what"]: row["value"] for row in rows(ctl(live, "--json", "status"))}
    assert found["process"] == os.getpid()
    assert found["hosts"] == ["example.org"]
    assert f"c2s:127.0.0.1:{running.port}" in found["listening"]


def test_reload_tells_what_is_different(ctl, live):
    result = ctl(live, "reload")
    assert (result.exit_code, result.stdout) == (0, "nothing is different\n")


def test_what_programs_read_without_json(ctl, either):
    """Off a terminal: names of columns, then a row in each line, with tabs."""
    head, *lines = ctl(either, "features").stdout.splitlines()
    assert head.split("\t") == ["host", "feature", "specification", "on", "advertises"]
    assert all(line.count("\t") == 4 for line in lines)


def test_nothing_that_a_terminal_would_obey_is_shown(ctl, config):
    result = ctl(config(), "adduser", "--from", "-", stdin="ro\x1b[2Jmeo@localhost x\n")
    assert "\x1b" not in result.stderr


def test_a_wrong_configuration_is_told_line_by_line(ctl, config):
    result = ctl(config("drain_second = 1\nlog_level = 3"), "users")
    assert result.exit_code == 1
    said = result.stderr.splitlines()
    assert [line.split(":")[2] for line in said] == ["4", "5"]
    assert 'did you mean "drain_seconds"?' in said[0]


def test_help_of_each_command():
    for name in main.commands:
        result = CliRunner().invoke(main, [name, "--help"])
        assert (result.exit_code, "Usage" in result.stdout) == (0, True)


# --- check ------------------------------------------------------------------------------------


def test_a_check_finds_nothing_wrong(ctl, either):
    result = ctl(either, "--json", "check")
    assert result.exit_code == 0, result.stdout
    assert {row["status"] for row in json.loads(result.stdout)} == {"ok"}


def test_a_check_tells_all_mistakes_of_the_configuration(ctl, config):
    result = ctl(config("drain_second = 1\nlog_level = 3"), "--json", "check")
    assert result.exit_code == 1
    assert [row["status"] for row in json.loads(result.stdout)] == ["problem", "problem"]
