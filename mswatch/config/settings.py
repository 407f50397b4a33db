"""The table of settings: the one place that says which keys there are, what they hold and what they mean.

The TOML parser, the sample file, the manual's section and the short help are all made from SETTINGS.  A
key that is not here does not exist; one that is here is parsed and documented
(tests/config/test_settings.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mswatch.config import values
from mswatch.config.values import Kind
from mswatch.names import NameForm

# Where a setting stands: at the top of the file, in [sync], or in one of the two [store.NAME] tables.
TOP, SYNC, STORE = "", "sync", "store"


@dataclass(frozen=True)
class Setting:
    """One key; ``sample`` has its right-hand side in the sample file, by table ("# " comments it out)."""

    place: str
    key: str
    kind: Kind
    help: str
    default: Any = None  # None: see ``default_text``
    default_text: str = ""
    rc_default: float | None = None  # the default where an old rc file says nothing
    sample: Mapping[str, str] = field(default_factory=dict)


# What the names of a store or a syncer look like when nothing is said.  IMAP servers, mbsync 1.4 and
# OfflineIMAP write modified UTF-7; a name in plain UTF-8 is read by a utf-7 form just as well.
DEFAULT_FORMS = {
    "maildir++": NameForm(".", "utf-7"),
    "nested": NameForm("/", "utf-7"),
    "mailsync": NameForm("/", "utf-8"),
    "mbsync": NameForm("/", "utf-7"),
    "offlineimap": NameForm("/", "utf-7"),
    "command": NameForm("/", "utf-8"),
}


def _forms_text(attribute: str, *kinds: str) -> str:
    return ", ".join(f'"{getattr(DEFAULT_FORMS[kind], attribute)}" for {kind}' for kind in kinds)


_ENCODING = values.choice("utf-8", "utf-7")
_SYNC_KINDS = ("mailsync", "mbsync", "offlineimap", "command")
_STORE_KINDS = ("maildir++", "nested", "command")

SETTINGS = (
    Setting(
        TOP,
        "base_delay",
        values.DELAY,
        "How long changes are gathered before a run starts, counted from the first of them. A "
        "delivery touches a mailbox several times within milliseconds, and several mailboxes often "
        "change together.",
        default=0.3,
        rc_default=10,
        sample={TOP: '"300ms"'},
    ),
    Setting(
        TOP,
        "inter_delay",
        values.DELAY,
        "The shortest time from the end of a run to the start of the next one for the same mailbox; "
        "a run for one mailbox takes 0.04 to 0.3 s of machine time. After a failure the wait starts "
        "with this and doubles up to max_delay. Not less than base_delay.",
        default=1.0,
        rc_default=60,
        sample={TOP: '"1s"'},
    ),
    Setting(
        TOP,
        "max_delay",
        values.DELAY,
        "The longest wait between two attempts that fail.",
        default=300.0,
        rc_default=600,
        sample={TOP: '"5m"'},
    ),
    Setting(
        TOP,
        "poll_period",
        values.DELAY,
        "How often all mailboxes are synced although nothing was reported; 0 means never. It is the "
        "remedy for a syncer that fails without saying so.",
        default=3600.0,
        rc_default=86400,
        sample={TOP: '"1h"'},
    ),
    Setting(
        TOP,
        "ignore",
        values.PATTERNS,
        "Mailboxes whose changes start no run; runs for all mailboxes cover them. Canonical names; * "
        "stands for anything, % for anything within one level.",
        default=(),
        default_text="none",
        sample={TOP: '# ["Junk", "lists/%/archive"]'},
    ),
    Setting(
        TOP,
        "only",
        values.PATTERNS,
        "When given, changes of all other mailboxes start no run.",
        default=(),
        default_text="all mailboxes",
        sample={TOP: '# ["INBOX", "work/*"]'},
    ),
    Setting(
        TOP,
        "inter_delays",
        values.DELAYS,
        "An inter_delay of their own for the mailboxes that match; the first match counts.",
        default=(),
        default_text="none",
        sample={TOP: '# { "lists/*" = "5m" }'},
    ),
    Setting(
        SYNC,
        "with",
        values.choice(*_SYNC_KINDS),
        "The syncer: the built-in mailsync, another one that mswatch knows how to call, or any command, "
        "which is given the names of the mailboxes, or one empty argument for all.",
        default_text='"command" when command is given, otherwise "mailsync" if both stores are ones that it '
        "can read",
        sample={SYNC: '"mbsync"'},
    ),
    Setting(
        SYNC,
        "channel",
        values.CHANNEL,
        "For mbsync: the channel (or, with by_mailbox = false, also the group). Naming single "
        "mailboxes needs a channel with Patterns.",
        default_text="the name of the account",
        sample={SYNC: '# "work"'},
    ),
    Setting(
        SYNC,
        "account",
        values.TARGET,
        "For offlineimap: its account, or several with commas between; all of them are given the same "
        "mailboxes.",
        default_text="the name of the account",
        sample={SYNC: '# "work"'},
    ),
    Setting(
        SYNC,
        "command",
        values.COMMAND,
        "The program to start and its first arguments; no shell reads them. Only ~/ at the start of a "
        "word is expanded. Required for with = command.",
        default_text='the built-in mailsync, ["mbsync"] or ["offlineimap"], as with says',
        sample={SYNC: '# ["~/bin/my-sync", "--fast"]'},
    ),
    Setting(
        SYNC,
        "arguments",
        values.ARGUMENTS,
        "More options for mailsync, mbsync or offlineimap, before the mailboxes.",
        default=(),
        default_text="none",
        sample={SYNC: '# ["-c", "~/.mbsyncrc-work"]'},
    ),
    Setting(
        SYNC,
        "mailbox_prefix",
        values.PREFIX,
        'Only for with = command: a prefix and a separator. ["work", ":"] gives "work:INBOX" for a '
        'mailbox and "work" for all.',
        default_text="none",
        sample={SYNC: '# ["work", ":"]'},
    ),
    Setting(
        SYNC,
        "by_mailbox",
        values.FLAG,
        "false: every run is for all mailboxes, for a syncer that cannot be told which.",
        default=True,
        default_text="true",
        sample={SYNC: "# false"},
    ),
    Setting(
        SYNC,
        "idle_limit",
        values.DELAY,
        "How long a run may move nothing, neither bytes on a connection nor messages in a store, "
        "before it is taken for hung and ended. 0: never. Connections of mbsync give up after 20 s by "
        "themselves. A syncer that cannot be looked into (a static program) has hard_cap only.",
        default=120.0,
        default_text='"2m"',
        sample={SYNC: '# "2m"'},
    ),
    Setting(
        SYNC,
        "hard_cap",
        values.DELAY,
        "How long a run may take at all, progress or not. 0: for ever. What was synced until then is "
        "not lost, and the next run goes on from there.",
        default=3600.0,
        default_text='"1h"',
        sample={SYNC: '# "1h"'},
    ),
    Setting(
        SYNC,
        "separator",
        values.SEPARATOR,
        "What the syncer writes between the levels of a mailbox name. OfflineIMAP takes the server's.",
        default_text='"/"',
        sample={SYNC: '# "/"'},
    ),
    Setting(
        SYNC,
        "encoding",
        _ENCODING,
        "How the syncer writes letters outside ASCII. For offlineimap with utf8foldernames = "
        'yes, and for mbsync between Maildirs named in UTF-8, set "utf-8".',
        default_text=_forms_text("encoding", *_SYNC_KINDS[1:]),
        sample={SYNC: '# "utf-8"'},
    ),
    Setting(
        SYNC,
        "names",
        values.OWN_NAMES,
        "Mailboxes that the syncer calls by a name that follows no rule: own name = canonical name.",
        default=(),
        default_text="none",
        sample={SYNC: '# { "Gesendet" = "Sent" }'},
    ),
    Setting(
        SYNC,
        "skip",
        values.PATTERNS,
        "For mailsync: mailboxes that are not synced at all. Canonical names; * stands for anything, % for "
        "anything within one level.",
        default=(),
        default_text="none",
        sample={SYNC: '# ["Junk", "lists/%/archive"]'},
    ),
    Setting(
        SYNC,
        "size_limit",
        values.SIZE,
        "For mailsync: larger messages are not copied.",
        default_text="none",
        sample={SYNC: '# "20M"'},
    ),
    Setting(
        SYNC,
        "largest_deletion",
        values.SHARE,
        "For mailsync: when more than this share of a mailbox or of a store is missing, and at least 20 "
        "messages, nothing is deleted on the other side until a person says what is meant.",
        default=0.5,
        default_text="0.5",
        sample={SYNC: "# 0.5"},
    ),
    Setting(
        STORE,
        "maildir",
        values.MAILDIR,
        "A Maildir tree on this machine. A relative path starts at the home directory. Each store has "
        "either maildir or command.",
        default_text="none",
        sample={"store.local": '"~/Mail/work"'},
    ),
    Setting(
        STORE,
        "layout",
        values.choice("maildir++", "nested"),
        'How the mailboxes of maildir lie on disk: "maildir++" for .lists.python beside cur, new and '
        'tmp of INBOX, "nested" for lists/python.',
        default="maildir++",
        default_text='"maildir++"',
        sample={"store.local": '"nested"'},
    ),
    Setting(
        STORE,
        "command",
        values.COMMAND,
        "A watcher: a program that prints an empty line when it is watching and then the name of each "
        "mailbox that changes, one on a line. ~/ at the start of a word is expanded; no shell reads "
        "it.",
        default_text="none",
        sample={
            "store.server": '["ssh", "-o", "BatchMode=yes", "example.org", "inputkill", "watch_maildirs"]'
        },
    ),
    Setting(
        STORE,
        "separator",
        values.SEPARATOR,
        "What the watcher writes between the levels of a mailbox name.",
        default_text=_forms_text("separator", *_STORE_KINDS),
        sample={"store.local": '# "/"', "store.server": '"."'},
    ),
    Setting(
        STORE,
        "encoding",
        _ENCODING,
        'How the watcher writes letters outside ASCII: "utf-8", or "utf-7" for the modified UTF-7 of '
        'IMAP. Names in plain UTF-8 are also understood with "utf-7".',
        default_text=_forms_text("encoding", *_STORE_KINDS),
        sample={"store.local": '# "utf-8"', "store.server": '"utf-7"'},
    ),
    Setting(
        STORE,
        "names",
        values.OWN_NAMES,
        "Mailboxes that this store calls by a name that follows no rule: own name = canonical name.",
        default=(),
        default_text="none",
        sample={"store.local": '# { "Gesendet" = "Sent" }'},
    ),
    Setting(
        STORE,
        "inputkill",
        values.FLAG,
        "true: run command under inputkill, which ends it when mswatch goes away. For a watcher that "
        "does not look at its own standard input.",
        default=False,
        default_text="false",
        sample={"store.server": "# true"},
    ),
    Setting(
        STORE,
        "trash",
        values.TARGET,
        "For mailsync: the mailbox of this store that messages are moved to which were deleted in the other "
        "one. Canonical name.",
        default="",
        default_text="none, they are removed",
        sample={"store.local": '# "Trash"'},
    ),
    Setting(
        STORE,
        "read_only",
        values.FLAG,
        "For mailsync: true: nothing at all is changed in this store.",
        default=False,
        default_text="false",
        sample={"store.local": "# true"},
    ),
    Setting(
        STORE,
        "create",
        values.FLAG,
        "For mailsync: false: no messages and no mailboxes are made in this store.",
        default=True,
        default_text="true",
        sample={"store.local": "# false"},
    ),
    Setting(
        STORE,
        "delete",
        values.FLAG,
        "For mailsync: false: what was deleted in the other store stays in this one.",
        default=True,
        default_text="true",
        sample={"store.local": "# false"},
    ),
    Setting(
        STORE,
        "expunge",
        values.FLAG,
        "For mailsync: false: what was deleted in the other store is only marked as deleted in this one.",
        default=True,
        default_text="true",
        sample={"store.local": "# false"},
    ),
)


def settings_of(place: str) -> dict[str, Setting]:
    """Return the settings that may stand in a place, in the order of the table."""
    return {setting.key: setting for setting in SETTINGS if setting.place == place}


def default_text(setting: Setting) -> str:
    """Return the default as a person reads it."""
    if setting.default_text:
        return setting.default_text
    return f'"{values.delay_text(setting.default)}"'


def rc_default(key: str) -> float:
    """Return the delay that an old rc file means when it does not say one."""
    default = settings_of(TOP)[key].rc_default
    if default is None:
        raise KeyError(key)
    return float(default)
