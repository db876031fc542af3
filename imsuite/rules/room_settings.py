"""XEP-0045 §15.5.3: the settings that every room has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imsuite.rules.room_config import Setting


def _either(yes: str, no: str) -> Callable[[Any], tuple[str, ...]]:
    return lambda value: (yes,) if value else (no,)


_ROLES = {"moderator": "Moderators", "participant": "Participants", "visitor": "Visitors"}

# §15.5.3 in the order of the form of §10.1.3
SETTINGS = (
    Setting(
        "muc#roomconfig_roomname",
        "name",
        "text-single",
        "Natural-Language Room Name",
        "",
        most=200,
        info=("muc#roomconfig_roomname",),
    ),
    Setting(
        "muc#roomconfig_roomdesc",
        "description",
        "text-single",
        "Short Description of Room",
        "",
        info=("muc#roominfo_description",),
    ),
    Setting(
        "muc#roomconfig_lang",
        "lang",
        "text-single",
        "Natural Language for Room Discussions",
        "",
        most=35,  # characters of a language tag (RFC 5646 §4.4.1)
        info=("muc#roominfo_lang",),
        check=lambda text: text.replace("-", "").isalnum() and text.isascii(),
    ),
    Setting(
        "muc#roomconfig_enablelogging",
        "logged",
        "boolean",
        "Keep an Archive of the Discussions",
        True,
    ),
    Setting(
        "muc#roomconfig_changesubject",
        "change_subject",
        "boolean",
        "Allow Occupants to Change the Subject",
        False,
        info=("muc#roomconfig_changesubject", "muc#roominfo_subjectmod"),
    ),
    Setting(
        "muc#roomconfig_allowinvites",
        "allow_invites",
        "boolean",
        "Allow Members to Invite Others",
        False,
        info=("muc#roomconfig_allowinvites",),
    ),
    Setting(
        "muc#roomconfig_allowpm",
        "allow_pm",
        "list-single",
        "Roles that May Send Private Messages",
        "anyone",
        options={
            "anyone": "Anyone",
            "participants": "Anyone with Voice",
            "moderators": "Moderators Only",
            "none": "Nobody",
        },
        info=("muc#roomconfig_allowpm",),
    ),
    Setting(
        "muc#roomconfig_maxusers",
        "max_users",
        "list-single",
        "Maximum Number of Room Occupants",
        0,
        options={**{str(n): str(n) for n in (10, 20, 30, 50, 100, 500, 1000)}, "none": "None"},
        least=1,
        most=100_000,
        info=("muc#roomconfig_maxusers",),
    ),
    Setting(
        "muc#roomconfig_presencebroadcast",
        "presence_broadcast",
        "list-multi",
        "Roles for which Presence is Broadcasted",
        tuple(_ROLES),
        options=_ROLES,
        info=("muc#roomconfig_presencebroadcast",),
    ),
    Setting(
        "muc#roomconfig_getmemberlist",
        "get_member_list",
        "list-multi",
        "Roles that May Retrieve the Member List",
        tuple(_ROLES),
        options=_ROLES,
    ),
    Setting(
        "muc#roomconfig_publicroom",
        "public",
        "boolean",
        "Allow Public Searching for the Room",
        True,
        features=_either("muc_public", "muc_hidden"),
    ),
    Setting(
        "muc#roomconfig_persistentroom",
        "persistent",
        "boolean",
        "Keep the Room when Nobody is in it",
        False,
        features=_either("muc_persistent", "muc_temporary"),
    ),
    Setting(
        "muc#roomconfig_moderatedroom",
        "moderated",
        "boolean",
        "Only Those with Voice May Speak",
        False,
        features=_either("muc_moderated", "muc_unmoderated"),
    ),
    Setting(
        "muc#roomconfig_membersonly",
        "members_only",
        "boolean",
        "Only Members May Enter",
        False,
        features=_either("muc_membersonly", "muc_open"),
    ),
    Setting(
        "muc#roomconfig_passwordprotectedroom",
        "password_protected",
        "boolean",
        "A Password is Required to Enter",
        False,
        features=_either("muc_passwordprotected", "muc_unsecured"),
    ),
    Setting(
        "muc#roomconfig_roomsecret",
        "secret",
        "text-private",
        "The Room Password",
        "",
    ),
    Setting(
        "muc#roomconfig_whois",
        "whois",
        "list-single",
        "Who May Discover Real JIDs of Occupants",
        "moderators",
        options={"moderators": "Moderators Only", "anyone": "Anyone"},
        features=lambda value: (
            ("muc_nonanonymous",) if value == "anyone" else ("muc_semianonymous",)
        ),
    ),
    Setting(
        "muc#maxhistoryfetch",
        "max_history",
        "text-single",
        "Maximum Number of History Messages Returned by Room",
        50,
        info=("muc#maxhistoryfetch",),
    ),
    Setting(
        "muc#roomconfig_pubsub",
        "pubsub",
        "text-single",
        "XMPP URI of Associated Publish-Subscribe Node",
        "",
        info=("muc#roomconfig_pubsub",),
        check=lambda text: text.startswith("xmpp:"),
    ),
)
