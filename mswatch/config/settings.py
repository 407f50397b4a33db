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

# Where a setting stands: at the top of the file, in [sync], [hook], or one of the two [store.NAME] tables.
TOP, SYNC, STORE, HOOK = "", "sync", "store", "hook"


@dataclass(frozen=True)
class Setting:
    """One key.

    ``sample`` has its right-hand side in the sample file, by table ("# " comments it out).  ``is_there``: a
    path in it is one on the store's host, which may be another.
    """

    place: str
    key: str
    kind: Kind
    help: str
    default: Any = None  # None: see ``default_text``
    default_text: str = ""
    rc_default: float | None = None  # the default where an old rc file says nothing
    sample: Mapping[str, str] = field(default_factory=dict)
    is_there: bool = False


# What the names of a store or a syncer look like when nothing is said.  IMAP servers, mbsync 1.4 and
# OfflineIMAP write modified UTF-7; a name in plain UTF-8 is read by a utf-7 form just as well.
DEFAULT_FORMS = {
    "maildir++": NameForm(".", "utf-7"),
    "nested": NameForm("/", "utf-7"),
    "mbox": NameForm("/", "utf-7"),
    "mh": NameForm("/", "utf-8", (("inbox", "INBOX"),)),
    "imap": NameForm("/", "utf-8"),  # the server says how it writes names
    "mailsync": NameForm("/", "utf-8"),
    "mbsync": NameForm("/", "utf-7"),
    "offlineimap": NameForm("/", "utf-7"),
    "command": NameForm("/", "utf-8"),
}


def _forms_text(attribute: str, *kinds: str) -> str:
    return ", ".join(f'"{getattr(DEFAULT_FORMS[kind], attribute)}" for {kind}' for kind in kinds)


_ENCODING = values.choice("utf-8", "utf-7")
_SYNC_KINDS = ("mailsync", "mbsync", "offlineimap", "command")
_STORE_KINDS = ("maildir++", "nested", "mbox", "mh", "command")

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
        values.MAILBOXES,
        "For mailsync: mailboxes that are not synced at all. Canonical names; * stands for anything, % for "
        "anything within one level. Or, behind a backslash, a use: what the server of an imap store says "
        "that a mailbox is for, whatever it is called there; it is left out in both stores. In single quotes "
        "a backslash stands for itself. A name that begins with a backslash is written with two.",
        default=values.Mailboxes(),
        default_text="none",
        sample={SYNC: r"""# ['\All', '\Flagged', "Junk", "lists/%/archive"]"""},
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
        "A Maildir tree, on this machine or on the host that ssh names. A relative path starts at the "
        "home directory there. Each store has one of maildir, mbox, mh and command, which says how it is "
        "watched; or imap, or both.",
        default_text="none",
        sample={"store.local": '"~/Mail/work"', "store.server": '"~/Maildir"'},
        is_there=True,
    ),
    Setting(
        STORE,
        "layout",
        values.choice("maildir++", "nested"),
        'How the mailboxes of maildir lie on disk: "maildir++" for .lists.python beside cur, new and '
        'tmp of INBOX, "nested" for lists/python.',
        default="maildir++",
        default_text='"maildir++"',
        sample={"store.local": '"nested"', "store.server": '"maildir++"'},
    ),
    Setting(
        STORE,
        "mbox",
        values.MAILDIR,
        "A directory of mbox files, at any depth, or a single one, which is INBOX then.",
        default_text="none",
        sample={"store.server": '# "~/mail"'},
        is_there=True,
    ),
    Setting(
        STORE,
        "inbox",
        values.MAILDIR,
        "With mbox: the mbox that is INBOX, where it lies elsewhere.",
        default_text="none",
        sample={"store.server": '# "/var/mail/me"'},
        is_there=True,
    ),
    Setting(
        STORE,
        "mh",
        values.MAILDIR,
        "A directory of MH folders. The folder inbox is INBOX.",
        default_text="none",
        sample={"store.local": '# "~/Mail"'},
        is_there=True,
    ),
    Setting(
        STORE,
        "command",
        values.COMMAND,
        "A watcher: a program that prints an empty line when it is watching and then the name of each "
        "mailbox that changes, one on a line. ~/ at the start of a word is expanded; no shell reads "
        "it. With ssh it is run on that host.",
        default_text="none",
        sample={"store.server": '# ["inputkill", "watch_maildirs"]'},
        is_there=True,
    ),
    Setting(
        STORE,
        "imap",
        values.SERVER,
        "For mailsync: the server whose mailboxes are the store. How it is watched is said by maildir, mbox, "
        "mh or command, with ssh if need be; without them it is not, and looked at every poll_period.",
        default_text="none",
        sample={"store.server": '# "imap.example.org"'},
    ),
    Setting(
        STORE,
        "tunnel",
        values.COMMAND,
        "In place of imap: a program that speaks IMAP on its standard input and output. ~/ at the start of a "
        "word is expanded; no shell reads it. It is given silence_limit to answer.",
        default_text="none",
        sample={"store.server": '# ["ssh", "mail.example.org", "/usr/lib/dovecot/imap"]'},
    ),
    Setting(
        STORE,
        "user",
        values.PERSON,
        "With imap: who logs in there.",
        default_text="none; needed, unless a client_certificate says it",
        sample={"store.server": '# "me@example.org"'},
    ),
    Setting(
        STORE,
        "password_command",
        values.COMMAND,
        "With imap: a program that prints the password on its first line. It is run anew at each login. ~/ "
        "at the start of a word is expanded; no shell reads it. The password itself has no place in this "
        "file.",
        default_text="you are asked at the terminal, which a service does not have",
        sample={"store.server": '# ["pass", "show", "mail/work"]'},
    ),
    Setting(
        STORE,
        "password_file",
        values.FILE,
        "With imap: a file that nobody else may read, with the password on its first line.",
        default_text="none",
        sample={"store.server": '# "~/.config/mswatch/work.password"'},
    ),
    Setting(
        STORE,
        "token_command",
        values.COMMAND,
        "With imap: a program that prints an access token of OAuth 2.0 on its first line, for servers that "
        "want one in place of a password (Gmail, Microsoft 365). It is run anew at each login.",
        default_text="none",
        sample={"store.server": '# ["oama", "access", "me@example.org"]'},
    ),
    Setting(
        STORE,
        "password_limit",
        values.LIMIT,
        "How long password_command or token_command may take, or you at the terminal. Less than idle_limit.",
        default=60.0,
        default_text='"1m"',
        sample={"store.server": '# "1m"'},
    ),
    Setting(
        STORE,
        "mechanisms",
        values.MECHANISMS,
        "With imap: the only ways to log in that are used. LOGIN-COMMAND is the LOGIN of IMAP itself.",
        default_text="the strongest that the server has",
        sample={"store.server": '# ["PLAIN"]'},
    ),
    Setting(
        STORE,
        "security",
        values.choice("tls", "starttls", "plain"),
        'With imap: "tls" from the first byte on (port 993), "starttls" after a greeting in clear (port '
        '143), "plain" for nothing at all (port 143), which lets everybody on the way read the password.',
        default="tls",
        default_text='"tls"',
        sample={"store.server": '# "starttls"'},
    ),
    Setting(
        STORE,
        "fingerprints",
        values.FINGERPRINTS,
        "With imap: what the server's certificate is known by: the SHA-256 of it (openssl x509 -noout "
        "-fingerprint -sha256) or of its public key. One of these must be right, and nothing else is asked "
        "of the certificate; so one that signed itself is trusted.",
        default_text="none; an authority that the system trusts must have signed it",
        sample={"store.server": '# ["' + "0123456789abcdef" * 4 + '"]'},
    ),
    Setting(
        STORE,
        "authorities",
        values.FILE,
        "With imap: a file of the certificates whose signatures are trusted, instead of the system's.",
        default_text="those of the system",
        sample={"store.server": '# "~/.config/mswatch/authority.pem"'},
    ),
    Setting(
        STORE,
        "client_certificate",
        values.FILE,
        "With imap: a file with a certificate and its private key, which the server asks for. It is also the "
        "login, where neither a password nor a token is given.",
        default_text="none",
        sample={"store.server": '# "~/.config/mswatch/me.pem"'},
    ),
    Setting(
        STORE,
        "silence_limit",
        values.LIMIT,
        "With imap: how long the server may be silent when it is to answer, and how long connecting to it "
        "may take. After that the run ends, and is tried again. Less than idle_limit.",
        default=30.0,
        default_text='"30s"',
        sample={"store.server": '# "30s"'},
    ),
    Setting(
        STORE,
        "connections",
        values.CONNECTIONS,
        "With imap: how many connections mailsync opens at most. It is one, and more only where so much is "
        "to be read that it pays, as in a first sync; where the server does not let us have them, it goes "
        "on with fewer. Each is a login, for which password_command or token_command is run; who types the "
        "password types it once, for one connection.",
        default=3,
        default_text="3",
        sample={"store.server": "# 3"},
    ),
    Setting(
        STORE,
        "subscribed",
        values.FLAG,
        "With imap: true: only mailboxes that are subscribed there are synced, and INBOX. All others are "
        "left alone in both stores, also when they are unsubscribed later.",
        default=False,
        default_text="false",
        sample={"store.server": "# true"},
    ),
    Setting(
        STORE,
        "separator",
        values.SEPARATOR,
        "What the watcher writes between the levels of a mailbox name.",
        default_text=_forms_text("separator", *_STORE_KINDS),
        sample={"store.local": '# "/"', "store.server": '# "."'},
    ),
    Setting(
        STORE,
        "encoding",
        _ENCODING,
        'How the watcher writes letters outside ASCII: "utf-8", or "utf-7" for the modified UTF-7 of '
        'IMAP. Names in plain UTF-8 are also understood with "utf-7".',
        default_text=_forms_text("encoding", *_STORE_KINDS),
        sample={"store.local": '# "utf-8"', "store.server": '# "utf-7"'},
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
        "does not look at its own standard input. With ssh, inputkill is sent to the host.",
        default=False,
        default_text="false",
        sample={"store.server": "# true"},
    ),
    Setting(
        STORE,
        "trash",
        values.MAILBOX,
        "For mailsync: the mailbox of this store that messages are moved to which were deleted in the other "
        "one. Canonical name; or with imap a use, as in skip: the mailbox that the server says is for that.",
        default=("", ""),
        default_text="none, they are removed",
        sample={"store.local": '# "Trash"', "store.server": r"# '\Trash'"},
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
    Setting(
        STORE,
        "ssh",
        values.HOST,
        "The host that the store is on: a name that ssh knows, with a user if need be. It needs python3 "
        "(3.6 or later) and nothing else: the watcher is sent there. Logging in must work without a "
        "question: by a key, and with a known host key.",
        default_text="this machine",
        sample={"store.server": '"me@mail.example.org"'},
    ),
    Setting(
        STORE,
        "port",
        values.PORT,
        "The port of ssh on that host.",
        default_text="what ssh's configuration says, or 22",
        sample={"store.server": "# 2222"},
    ),
    Setting(
        STORE,
        "identity",
        values.FILE,
        "The private key for that host. No other key is tried then.",
        default_text="those of ssh's configuration and of its agent",
        sample={"store.server": '# "~/.ssh/mail"'},
    ),
    Setting(
        STORE,
        "ssh_config",
        values.FILE,
        "A configuration for ssh instead of ~/.ssh/config.",
        default_text="none",
        sample={"store.server": '# "~/.ssh/config-mail"'},
    ),
    Setting(
        STORE,
        "ssh_command",
        values.COMMAND,
        "The ssh to use, and options for it before ours.",
        default=("ssh",),
        default_text='["ssh"]',
        sample={"store.server": '# ["torsocks", "ssh", "-4"]'},
    ),
    Setting(
        STORE,
        "prefix",
        values.ARGUMENTS,
        "Words before the watcher's command on the host; sudo -n, for mail that belongs to another user.",
        default=(),
        default_text="none",
        sample={"store.server": '# ["sudo", "-n", "-u", "vmail"]'},
        is_there=True,
    ),
    Setting(
        STORE,
        "helper",
        values.choice("sent", "installed"),
        '"sent": our watch_maildirs is sent to the host at each start, some 15 kB, and leaves nothing '
        'there. "installed": the one of the host is used, which must be of version 2.',
        default="sent",
        default_text='"sent"',
        sample={"store.server": '# "installed"'},
    ),
    Setting(
        STORE,
        "poll",
        values.LIMIT,
        "Look at the Maildir so often instead of being told by its kernel. This is done without being "
        "asked for, every 10 s, on network file systems, whose changes by other machines no kernel tells, "
        "and for what finds no room in the kernel's limits; mswatch status says so.",
        default_text="not",
        sample={"store.local": '# "10s"', "store.server": '# "10s"'},
    ),
    Setting(
        STORE,
        "start_limit",
        values.LIMIT,
        "How long the watcher may take until it watches, logging in included. After that it is ended and "
        "started again. A connection by ssh is given 15 s of it.",
        default=60.0,
        default_text='"1m"',
        sample={"store.local": '# "5m"', "store.server": '# "1m"'},
    ),
    Setting(
        STORE,
        "ask_every",
        values.LIMIT,
        "How often the watcher on another host is asked whether it is still there. It is also asked at "
        "once when this machine was asleep or its network is another one. The watcher ends by itself when "
        "it was not asked for three times as long.",
        default=60.0,
        default_text='"1m"',
        sample={"store.server": '# "1m"'},
    ),
    Setting(
        STORE,
        "answer_limit",
        values.LIMIT,
        "How long it may take to answer. After that the connection counts as dead, and is made anew.",
        default=10.0,
        default_text='"10s"',
        sample={"store.server": '# "10s"'},
    ),
    Setting(
        HOOK,
        "command",
        values.COMMAND,
        "A program to start after each run that succeeded, to index the mail, say, or to tell you of it. "
        "MSWATCH_MAILBOXES in its environment holds the names of the mailboxes, one on a line, and is empty "
        "after a run for all; MSWATCH_ACCOUNT names the account. Runs do not wait for it; what runs finish "
        "meanwhile is for its next start.",
        default_text="none",
        sample={HOOK: '# ["notmuch", "new"]'},
    ),
    Setting(
        HOOK,
        "limit",
        values.DELAY,
        "How long it may take before it is ended. 0: for ever.",
        default=300.0,
        default_text='"5m"',
        sample={HOOK: '# "5m"'},
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
