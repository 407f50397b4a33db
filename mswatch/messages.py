"""Every kind of record that mswatch tells, with its journal message id.

The one table: the journal, the journal's catalogue (units/mswatch.catalog) and the section LOG MESSAGES of
mswatch(1) have it from here, and tests hold the three together.  An id is for ever: people filter by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Priority(IntEnum):
    """How much it matters, as in syslog(3)."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


@dataclass(frozen=True)
class Message:
    """One kind of record: ``cause`` says why it comes, ``remedy`` what to do (empty: nothing)."""

    name: str
    id: str
    priority: Priority
    cause: str
    remedy: str = ""


SERVICE_STARTED = Message(
    "SERVICE_STARTED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c01",
    Priority.NOTICE,
    "The service of an account has begun.",
)
SERVICE_ENDED = Message(
    "SERVICE_ENDED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c02",
    Priority.NOTICE,
    "The service of an account has ended as it was asked to.",
)
START_FAILED = Message(
    "START_FAILED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c19",
    Priority.ERROR,
    "The service could not be started, or a command of mswatch could not do its work.",
    "The records say what was found, and what to do.",
)
BUG = Message(
    "BUG",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c1a",
    Priority.ERROR,
    "Something happened that the program does not expect. The service ends, and systemd starts it again.",
    "Please report it, with a file of `mswatch run --record` if it comes again.",
)
WATCHER_STARTED = Message(
    "WATCHER_STARTED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c03",
    Priority.INFO,
    "The watcher of a store is being started.",
)
WATCHING = Message(
    "WATCHING",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c04",
    Priority.NOTICE,
    "Both stores are watched: from now on changes are seen at once.",
)
UNWATCHED = Message(
    "UNWATCHED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c20",
    Priority.NOTICE,
    "Nothing tells of changes in this store: they are seen when all mailboxes are synced, every poll_period, "
    "or together with changes of the other store.",
    "Say in the account how it is watched, or lower poll_period.",
)
WATCHER_LOST = Message(
    "WATCHER_LOST",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c05",
    Priority.WARNING,
    "A watcher ended, or could not be started. It is started again, as often as it takes, and then "
    "everything is synced. This is told once for each cause, and not for each try.",
    "If it comes again and again, run `mswatch check ACCOUNT`; a server that is away needs nothing.",
)
WATCHER_BACK = Message(
    "WATCHER_BACK",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c1b",
    Priority.NOTICE,
    "A watcher that was lost is watching again. All mailboxes are synced now.",
)
WATCHER_ODD = Message(
    "WATCHER_ODD",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c06",
    Priority.WARNING,
    "A watcher printed something that is no mailbox name. It was taken as a change of any mailbox.",
    "See that nothing but the watcher prints to its standard output: a login script, for example.",
)
WATCHER_NOTE = Message(
    "WATCHER_NOTE",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c07",
    Priority.WARNING,
    "A watcher has something to tell: a folder that it cannot read, a limit of the kernel.",
    "The text says what to do.",
)
WATCHER_OUTPUT = Message(
    "WATCHER_OUTPUT",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c08",
    Priority.INFO,
    "A line that a watcher printed on its standard error.",
)
RUN_STARTED = Message(
    "RUN_STARTED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c09",
    Priority.INFO,
    "A run has begun.",
)
RUN_CALL = Message(
    "RUN_CALL",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c0a",
    Priority.INFO,
    "The words with which the syncer is called.",
)
RUN_SUCCEEDED = Message(
    "RUN_SUCCEEDED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c0b",
    Priority.INFO,
    "A run has ended well: its mailboxes are in step.",
)
RUN_FAILED = Message(
    "RUN_FAILED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c0c",
    Priority.WARNING,
    "A run has failed. Its mailboxes stay pending and are tried again, after growing waits; after max_delay "
    "when the syncer ended with 78, which says that somebody has to mend something first. This, and what the "
    "syncer printed, is told once for each mailbox and cause, and not for each try.",
    "What the syncer printed is in the records before; `mswatch status` tells when the next try is.",
)
RUN_STOPPED = Message(
    "RUN_STOPPED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c0d",
    Priority.INFO,
    "A run was ended because the service ends. The next start looks at everything.",
)
RUN_WAITS = Message(
    "RUN_WAITS",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c0e",
    Priority.NOTICE,
    "A run that this service did not start is under way; the next one waits for its end.",
    "If it never ends, end the process that the record names.",
)
RUN_WIDENED = Message(
    "RUN_WIDENED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c0f",
    Priority.NOTICE,
    "A run for some mailboxes was made one for all, because a name cannot be told to the syncer.",
    "Nothing is lost. Rename the mailbox if it changes often.",
)
RUN_OUTPUT = Message(
    "RUN_OUTPUT",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c10",
    Priority.INFO,
    "A line that the syncer printed.",
)
OUTPUT_CUT = Message(
    "OUTPUT_CUT",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c11",
    Priority.NOTICE,
    "A child printed more than is shown.",
    "Run its command by hand to see it all.",
)
RUN_UNSEEN = Message(
    "RUN_UNSEEN",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c17",
    Priority.NOTICE,
    "The syncer reports no progress: it is a static program, or the shim is not installed. It is told once.",
    "Nothing; hard_cap still ends a run that hangs.",
)
HOOK_OUTPUT = Message(
    "HOOK_OUTPUT",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c1e",
    Priority.INFO,
    "A line that the hook printed.",
)
HOOK_FAILED = Message(
    "HOOK_FAILED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c1f",
    Priority.WARNING,
    "The hook failed, could not be started, or took longer than its limit. Mail is in step nevertheless, "
    "and the next run is followed by the hook again.",
    "Run the command of [hook] by hand.",
)
LIMITS_FAILED = Message(
    "LIMITS_FAILED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c18",
    Priority.WARNING,
    "idle_limit and hard_cap could not be told to the user manager; those in the unit file hold.",
    "Make room in the runtime directory that the record names, and reload.",
)
NETWORK_UNSEEN = Message(
    "NETWORK_UNSEEN",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c1c",
    Priority.NOTICE,
    "The kernel does not tell of addresses and routes. A connection that died with a change of the network "
    "is found by questions only.",
    "Let the service have sockets of the family AF_NETLINK.",
)
PENDING = Message(
    "PENDING",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c12",
    Priority.NOTICE,
    "The pending mailboxes, asked for by SIGUSR1.",
)
RELOADED = Message(
    "RELOADED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c13",
    Priority.NOTICE,
    "The configuration was read again and is in force.",
)
RELOAD_FAILED = Message(
    "RELOAD_FAILED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c14",
    Priority.ERROR,
    "The configuration was read again and cannot be used; the one before stays in force.",
    "Mend what the record names, and reload again.",
)
RECORD_FAILED = Message(
    "RECORD_FAILED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c15",
    Priority.WARNING,
    "The file of --record cannot be written any more; the service goes on without it.",
    "Make room, and start again if the record is needed.",
)
UNIT_ENDED = Message(
    "UNIT_ENDED",
    "5f6b0c9a3f0f4f8c9f8a2a4b7d1e0c16",
    Priority.WARNING,
    "A unit of mswatch ended in another way than by doing its work: killed, frozen, not started.",
    "systemd starts the service again by itself; `systemctl --user status` has the details.",
)

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Message))


def catalogue() -> str:
    """Return the journal's catalogue of these records, in the form that journalctl takes."""
    entries = [
        f"-- {message.id}\nSubject: mswatch: {message.name.lower().replace('_', ' ')}\nDefined-By: mswatch\n"
        f"Documentation: man:mswatch(1)\n\n{message.cause}\n"
        + (f"\n{message.remedy}\n" if message.remedy else "")
        for message in ALL
    ]
    return "\n".join(entries)


if __name__ == "__main__":
    print(catalogue(), end="")  # noqa: T201 - to renew units/mswatch.catalog
