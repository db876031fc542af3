"""Commands of imsuitectl for whole domains: administrators, who is online, announcements, lists."""

from __future__ import annotations

import sys

import click

from imsuite.app.command import WrongArguments
from imsuite.app.commands import find
from imsuite.app.ctl_desk import Desk, on_desk

_domain = click.option("--domain", default="", help="On this domain only.")


@click.group()
def admin() -> None:
    """List, add and remove the administrators of a domain."""


@admin.command("list")
@click.argument("domain", default="")
@on_desk
def admin_list(desk: Desk, domain: str) -> None:
    """List who administers a domain, or all."""
    desk.listing("admins", domain=domain)


@admin.command("add")
@click.argument("jid")
@on_desk
def admin_add(desk: Desk, jid: str) -> None:
    """Let an account administer its domain, also from its own client."""
    desk.done("setadmin", desk.call("setadmin", jid=jid, admin=True), "{} is an administrator")


@admin.command("remove")
@click.argument("jid")
@on_desk
def admin_remove(desk: Desk, jid: str) -> None:
    """Let an account administer its domain no longer."""
    rows = desk.call("setadmin", jid=jid, admin=False)
    desk.done("setadmin", rows, "{} is no administrator")


@click.command()
@click.argument("domain", default="")
@on_desk
def counts(desk: Desk, domain: str) -> None:
    """Count the accounts: registered, disabled, online, active and idle."""
    desk.listing("counts", domain=domain)


@click.command()
@click.argument("domain", default="")
@click.option("--only", type=click.Choice(["active", "idle"]), help="Only these.")
@on_desk
def online(desk: Desk, domain: str, only: str | None) -> None:
    """List who is online, and who of these uses it just now."""
    desk.listing("online", domain=domain, only=only or "all")


@click.command()
@click.argument("text", required=False)
@_domain
@on_desk
def announce(desk: Desk, text: str | None, domain: str) -> None:
    """Tell something to everybody who is online; the text may be on standard input."""
    said = _given(text)
    if not said:
        raise WrongArguments("there is nothing to announce")
    desk.table(find("announce").columns, desk.call("announce", text=said, domain=domain))


@click.command()
@click.argument("text", default="")
@click.option("--delete", is_flag=True, help="Take the text away.")
@click.option("--corrected", is_flag=True, help="Who saw the last one does not get this one.")
@_domain
@on_desk
def motd(desk: Desk, text: str, delete: bool, corrected: bool, domain: str) -> None:
    """Tell, or with TEXT say, the message of the day; - for standard input.

    Everybody gets it once: who is online at once, others when they log in.
    """
    given = {"text": _text(text), "delete": delete, "corrected": corrected}
    desk.listing("motd", domain=domain, **given)


@click.command()
@click.argument("text", default="")
@click.option("--delete", is_flag=True, help="Take the text away.")
@_domain
@on_desk
def welcome(desk: Desk, text: str, delete: bool, domain: str) -> None:
    """Tell, or with TEXT say, what new accounts are told at first login; - for standard input."""
    desk.listing("welcome", domain=domain, text=_text(text), delete=delete)


@click.command()
@click.option("--add", multiple=True, metavar="JID", help="Put an address or a domain on it.")
@click.option("--remove", multiple=True, metavar="JID", help="Take it off.")
@click.option(
    "--direction",
    type=click.Choice(["both", "in", "out"]),
    default="both",
    help="What is meant of those added: what they send, what is sent to them, or both.",
)
@_domain
@on_desk
def blacklist(
    desk: Desk, add: tuple[str, ...], remove: tuple[str, ...], direction: str, domain: str
) -> None:
    """Tell or change with whom nobody of a domain can communicate."""
    given = {"add": list(add), "remove": list(remove), "direction": direction}
    desk.listing("blacklist", domain=domain, **given)


@click.command()
@click.option("--add", multiple=True, metavar="JID", help="Put an address or a domain on it.")
@click.option("--remove", multiple=True, metavar="JID", help="Take it off.")
@click.option(
    "--direction",
    type=click.Choice(["both", "in", "out"]),
    default="both",
    help="What is meant of those added: what they send, what is sent to them, or both.",
)
@_domain
@on_desk
def whitelist(
    desk: Desk, add: tuple[str, ...], remove: tuple[str, ...], direction: str, domain: str
) -> None:
    """Tell or change with whom alone a domain communicates, besides its own."""
    given = {"add": list(add), "remove": list(remove), "direction": direction}
    desk.listing("whitelist", domain=domain, **given)


@click.command()
@click.option("--delay", default=0, metavar="SECONDS", help="Wait so long.")
@click.option("--text", default="", help="What everybody who is online is told.")
@on_desk
def stop(desk: Desk, delay: int, text: str) -> None:
    """Stop the server in order."""
    desk.done("stop", desk.call("stop", delay=delay, text=text), "the server will {}")


@click.command()
@click.option("--delay", default=0, metavar="SECONDS", help="Wait so long.")
@click.option("--text", default="", help="What everybody who is online is told.")
@on_desk
def restart(desk: Desk, delay: int, text: str) -> None:
    """Stop the server in order, with exit status 75, by which its supervisor starts it again."""
    desk.done("restart", desk.call("restart", delay=delay, text=text), "the server will {}")


COMMANDS = (admin, counts, online, announce, motd, welcome, blacklist, whitelist, stop, restart)


def _text(text: str) -> str:
    return _given(None) if text == "-" else text


def _given(text: str | None) -> str:
    """Return a text, or standard input where it is "-" or absent."""
    return sys.stdin.read().rstrip("\n") if text in (None, "-") else str(text)
