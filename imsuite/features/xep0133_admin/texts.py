"""XEP-0133 §4.23-§4.28, §4.30, §4.31: what everybody is told, and the end of the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial

from imsuite.core.hooks import Passing
from imsuite.features.xep0133_admin.nodes import Faces, Field, Form, done
from imsuite.rules.adhoc import AdHoc, Done
from imsuite.xmpp import forms

# §4.30: seconds
DELAYS = {
    "30": "30 seconds",
    "60": "60 seconds",
    "90": "90 seconds",
    "120": "2 minutes",
    "180": "3 minutes",
    "240": "4 minutes",
    "300": "5 minutes",
}


def commands(faces: Faces) -> Iterator[AdHoc]:
    """Yield the commands of these sections."""
    yield faces.with_form(
        "announce",
        "Send Announcement to Online Users",
        "announce",
        (forms.field("text-multi", "announcement", label="Announcement", required=True),),
        partial(announce, faces),
        "Fill out this form to make an announcement to all active users of this service.",
    )
    for word, name, verb, shows in (
        ("set-motd", "Set Message of the Day", "set", False),
        ("edit-motd", "Edit Message of the Day", "edit", True),
    ):
        yield faces.with_form(
            word,
            name,
            "motd",
            _text_field(faces, "motd", "Message of the Day", shows),
            partial(set_text, faces, "motd", {"corrected": True} if shows else {}),
            f"Fill out this form to {verb} the message of the day.",
        )
    yield faces.at_once(
        "delete-motd", "Delete Message of the Day", "motd", partial(delete_text, faces, "motd")
    )
    yield faces.with_form(
        "set-welcome",
        "Set Welcome Message",
        "welcome",
        _text_field(faces, "welcome", "Welcome Message", True),
        partial(set_text, faces, "welcome", {}),
        "Fill out this form to set the welcome message for this service.",
    )
    yield faces.at_once(
        "delete-welcome",
        "Delete Welcome Message",
        "welcome",
        partial(delete_text, faces, "welcome"),
    )
    for word, name, command, verb in (
        ("restart", "Restart Service", "restart", "restarting"),
        ("shutdown", "Shut Down Service", "stop", "shutting down"),
    ):
        yield faces.with_form(
            word,
            name,
            command,
            (
                forms.field(
                    "list-single", "delay", label=f"Time delay before {verb}", options=DELAYS
                ),
                forms.field("text-multi", "announcement", label="Announcement"),
            ),
            partial(leave, faces, command),
            f"Fill out this form: {verb} ends all sessions.",
        )


async def announce(faces: Faces, passing: Passing, form: Form) -> Done:
    """§4.23"""
    text = forms.lines(form, "announcement") or ""
    ((_, count),) = await faces.give(passing, "announce", text=text)
    return done(f"{count} clients were told.")


def _text_field(
    faces: Faces, name: str, label: str, shows: bool
) -> Callable[[Passing], Awaitable[Iterable[Field]]]:
    async def fields(passing: Passing) -> list[Field]:
        """§4.25, §4.27: with the text that there is."""
        ((_, text),) = await faces.give(passing, name)
        lines = text.split("\n") if text and shows else None
        return [forms.field("text-multi", name, lines, label=label, required=True)]

    return fields


async def set_text(
    faces: Faces, name: str, how: dict[str, bool], passing: Passing, form: Form
) -> Done:
    """§4.24, §4.25, §4.27. how: further arguments of the command."""
    await faces.give(passing, name, text=forms.lines(form, name) or "", **how)
    return done("The text is in effect.")


async def delete_text(faces: Faces, name: str, passing: Passing) -> Done:
    """§4.26, §4.28"""
    await faces.give(passing, name, delete=True)
    return done("The text was deleted.")


async def leave(faces: Faces, command: str, passing: Passing, form: Form) -> Done:
    """§4.30, §4.31: without a delay at once."""
    delay, text = int(forms.text(form, "delay") or 0), forms.lines(form, "announcement") or ""
    await faces.give(passing, command, delay=delay, text=text)
    return done(f"This happens in {delay} seconds." if delay else "This happens now.")
