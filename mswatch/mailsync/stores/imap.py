"""An IMAP account as a store.

Key: the UID.  Epoch: UIDVALIDITY.  Mark: what STATUS tells of a mailbox (UIDVALIDITY, HIGHESTMODSEQ,
UIDNEXT, MESSAGES), so that one LIST with STATUS answers for all mailboxes at once; without CONDSTORE a
change of flags does not show there, and there is no mark.

What is different since a mark is told by QRESYNC in one round trip; with CONDSTORE alone by the changed
messages and the list of those that are there; without it by UIDs and flags of all.  Work on many messages
is one command for as many as fit into its line, all commands in one round trip.

An upload whose answer was lost: the message has arrived or not.  The store cannot choose its keys, so the
engine finds it by its header among what is new.  Two commands delete: UID EXPUNGE, which names what it
means; and, where the server has no UIDPLUS, EXPUNGE with the marks of everybody else's messages taken off
before and put on again after, so that a break in between undeletes rather than deletes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import cast

from mswatch.errors import TemporaryError
from mswatch.imap import commands
from mswatch.imap.commands import Command
from mswatch.imap.connection import Done, Event
from mswatch.imap.quirks import Refusal
from mswatch.imap.responses import Listed, MailboxStatus, Namespaces
from mswatch.imap_session.glance import Said, remembered
from mswatch.imap_session.session import RefusedError, Session
from mswatch.mailsync.stores.contract import (
    UNSUBSCRIBED,
    Expected,
    Mailbox,
    MailboxError,
    NameTakenError,
    NotEmptyError,
    Seen,
    Store,
)
from mswatch.mailsync.stores.imap_account import WINDOW, ImapAccount, ImapMark, Plan
from mswatch.mailsync.stores.imap_mailbox import ImapMailbox
from mswatch.mailsync.stores.imap_names import INBOX, ImapNames
from mswatch.names import Encoding, NameForm, as_use, decode_utf7, encode_utf7
from mswatch.showing import show

MENDED_AT_MOST = 3  # a server that goes on ending connections has a reason, and is left alone
AT_ONCE = 500  # mailboxes that are asked for by themselves in one round trip
# What a STATUS of a mailbox that no list names is refused with; some servers have no words for it.
_SAYS_IT_IS_GONE = (Refusal.NO_MAILBOX, Refusal.OTHER)
STATUS_ITEMS = ("UIDVALIDITY", "UIDNEXT", "MESSAGES")


class ImapStore(Store):
    """The mailboxes of one account.

    ``own_names`` are pairs of the server's name, below its prefix, and the canonical name, of the mailboxes
    whose names follow no rule.  With ``is_whole`` names are the whole ones of the server, with its prefix,
    and other people's mailboxes are there too.  With ``uses`` the server is asked what mailboxes are for
    (RFC 6154), which some tell only then; with ``subscribed``, which ones are subscribed.
    """

    is_remote = True

    def __init__(
        self,
        name: str,
        log_in: Callable[[], Session],
        own_names: Iterable[tuple[str, str]] = (),
        *,
        is_whole: bool = False,
        connections: int = 1,
        uses: bool = False,
        subscribed: bool = False,
    ) -> None:
        self.name = name
        self.notes: list[str] = []
        self._log_in = log_in
        self._is_whole = is_whole
        self._connections = connections
        self._asks_uses = uses
        self._asks_subscribed = subscribed
        self._counts: dict[str, int] = {}  # how many messages each mailbox had, by canonical name
        self._opened: ImapAccount | None = None
        self._mended = 0  # times in this run that the connection was made anew
        self._own_names = tuple(own_names)
        self._names = self._named("/", "utf-7", "", ())
        self._meeting: _Meeting | None = None  # while we are getting acquainted
        self._recalled: tuple[str, Encoding, str, tuple[str, ...]] | None = None
        self.said: list[Said] | None = None  # up to the whole list, if a glance can say it again

    @property
    def form(self) -> NameForm:
        """How the server writes names; known when the store is open."""
        self._make_certain()
        return self._names.form

    @property
    def _account(self) -> ImapAccount:
        assert self._opened is not None, "open() comes first"
        self._make_certain()
        return self._opened

    def recall(self, remark: bytes) -> None:
        self._recalled = _read_remark(remark)

    def remark(self) -> bytes:
        form, names = self._names.form, self._names
        return "\n".join((form.separator, form.encoding, names.prefix, *names.others)).encode(
            "utf-8", "surrogateescape"
        )

    def open(self) -> bool:
        if self._opened is None:
            session = self._log_in()
            self._opened = ImapAccount(self.name, session, self._log_in_again, self._connections)
            self._get_acquainted(session)
        return True

    def _log_in_again(self) -> Session:
        session = self._log_in()
        session.link.record = None
        _enable(session)
        list(session.events())
        return session

    def _get_acquainted(self, session: Session) -> None:
        """Ask what names look like; where the last run knew, the first list is sent behind the question."""
        _enable(session)
        if session.can("ID"):
            session.send(commands.identify({"name": "mswatch"}))
        if session.can("NAMESPACE") and not self._is_whole:
            session.send(commands.namespace())
        self._meeting = _Meeting(session, session.send(commands.list_mailboxes([""])))
        if self._recalled is None:
            self._make_certain()
        else:
            self._names = self._named(*self._recalled)

    def _make_certain(self) -> None:
        meeting = self._meeting
        if meeting is not None:
            for event in meeting.session.events_of(meeting.tag):
                meeting.take(event)
            self._meet(meeting)

    def _meet(self, meeting: _Meeting) -> None:
        self._meeting = None
        self._names = self._named(*meeting.found())

    def _named(self, separator: str, encoding: Encoding, prefix: str, others: tuple[str, ...]) -> ImapNames:
        listed = tuple((_as_listed(own_name, encoding), name) for own_name, name in self._own_names)
        return ImapNames(NameForm(separator, encoding, listed), prefix, others)

    def mend(self) -> None:
        if self._opened is None or not self._opened.is_over:
            return
        if self._mended >= MENDED_AT_MOST:
            raise TemporaryError(
                f"store {self.name}: the connection broke {self._mended + 1} times", "it is tried again"
            )
        self._mended += 1
        left, validities = self._opened.planned, self._opened.validities
        self._meeting = None
        self._connections = 1  # the server may have had enough of them
        self.close()
        self.open()
        self._account.validities = validities
        self._account.expect(left)

    def make(self) -> None:
        """Nothing: an account is there or is not."""

    def identity(self) -> bytes:
        return b""

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        assert self._opened is not None, "open() comes first"
        names = self._names
        items = (*STATUS_ITEMS, *(("HIGHESTMODSEQ",) if self._opened.has_modseq else ()))
        patterns = [f"{names.prefix}*"]
        if names.prefix:
            patterns.insert(0, INBOX)
        if only is not None:
            patterns = [names.own(name) for name in only if self._is_possible(name)]
        if not patterns:
            return {}
        notes: list[str] = []
        found = self._list(patterns, items, notes)
        if self._names != names:  # the server has changed since we were told
            return self.mailboxes(only)
        self._keep_said(found, only)
        if only is None:
            self.notes[:] = notes
            says_uses = any(seen.uses and seen.uses != {UNSUBSCRIBED} for seen in found.values())
            if self._asks_uses and not says_uses and not self._account.can("SPECIAL-USE"):
                self.notes.append(
                    f"store {self.name}: the server does not say what mailboxes are for; what it said before"
                    " stands"
                )
        return {name: seen for name, seen in found.items() if only is None or name in only}

    def _keep_said(self, found: Mapping[str, Seen], only: Collection[str] | None) -> None:
        """Keep what was said, if the next run says the same and the answers tell of every change."""
        link = self._account.session.link
        is_usual = self._recalled is not None and _read_remark(self.remark()) == self._recalled
        tells_all = only is None and all(seen.mark is not None for seen in found.values())
        self.said = remembered(link.record) if is_usual and tells_all else None
        link.record = None

    def _is_possible(self, name: str) -> bool:
        try:
            return not set("*%") & set(self._names.own(name))
        except MailboxError:
            return False

    def _list(self, patterns: Sequence[str], items: Sequence[str], notes: list[str]) -> dict[str, Seen]:
        meeting = self._meeting
        session = self._account.session if meeting is None else meeting.session
        with_status = session.can("LIST-STATUS")
        is_extended = _is_extended(session)
        with_uses = self._asks_uses and session.can("SPECIAL-USE")
        asked_too = (("SPECIAL-USE", with_uses), ("SUBSCRIBED", self._asks_subscribed))
        returning = [word for word, is_asked in asked_too if is_asked and is_extended]
        for pattern in patterns:
            session.send(
                commands.list_mailboxes(
                    [pattern], returning=returning, status_items=items if with_status else ()
                )
            )
            if self._asks_subscribed and not is_extended:
                session.send(commands.list_subscribed(pattern))
        there: dict[str, str] = {}  # canonical by own name
        attributes: dict[str, frozenset[str]] = {}
        subscribed = {INBOX}
        told: dict[str, Mapping[str, int]] = {}
        refused: RefusedError | None = None
        for event in session.events():
            if self._meeting is not None:
                if self._meeting.take(event):
                    self._meet(self._meeting)
            elif isinstance(event, Done) and event.kind != "OK":
                refused = session.refused(event.command.name, event.kind, event.code, event.text)
            elif isinstance(event, Listed):
                if _is_subscribed(event):
                    subscribed.add(event.name)
                if not event.is_subscription:
                    attributes[event.name] = event.attributes
                    self._note_listed(event, there, notes)
            elif isinstance(event, MailboxStatus):
                told[event.name] = event.items
        if refused is not None:  # what it did not name is unknown, and not gone
            raise TemporaryError(
                f"store {self.name}: the list of mailboxes is not whole: {refused}", refused.fix
            )
        asked = [own_name for own_name in there if own_name not in told]
        for own_name in asked:
            session.send(commands.status(own_name, items))
        told.update(
            {event.name: event.items for event in session.events() if isinstance(event, MailboxStatus)}
        )
        self._counts.update(
            {name: told.get(own_name, {}).get("MESSAGES", 0) for own_name, name in there.items()}
        )
        found = {}
        for own_name, name in there.items():
            uses = _uses(attributes[own_name])
            if self._asks_subscribed and own_name not in subscribed and name != INBOX:
                uses |= {UNSUBSCRIBED}
            says = uses or with_uses or self._asks_subscribed
            found[name] = self._seen(told.get(own_name, {}), uses if says else None)
        return found

    def _note_listed(self, listed: Listed, there: dict[str, str], notes: list[str]) -> None:
        if not _holds_messages(listed):
            return
        name = self._names.canonical(listed.name)
        if name is not None:
            there[listed.name] = name
        elif not any(prefix and listed.name.startswith(prefix) for prefix in self._names.others):
            notes.append(f"store {self.name}: left out, for its name: {show(listed.name)}")

    def _seen(self, items: Mapping[str, int], uses: frozenset[str] | None) -> Seen:
        try:
            mark = bytes(
                ImapMark(*(items[name] for name in ("UIDVALIDITY", "HIGHESTMODSEQ", "UIDNEXT", "MESSAGES")))
            )
        except KeyError:
            mark = None
        if not items.get("HIGHESTMODSEQ"):
            mark = None
        validity = items.get("UIDVALIDITY")
        return Seen(b"" if validity is None else b"%d" % validity, mark, uses)

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        """Ask for each mailbox by itself.

        It is gone if the server does not name it as one that holds messages, and has no status of it because
        there is no such mailbox; or if it is a directory of others, and holds nothing.
        """
        possible = {name: self._names.own(name) for name in mailboxes if self._is_possible(name)}
        own_names = list(possible.values())
        found: dict[str, str] = {}
        for begin in range(0, len(own_names), AT_ONCE):
            some = own_names[begin : begin + AT_ONCE]
            found |= self._why_not_gone(
                {own: (commands.list_mailboxes([own]), commands.status(own, ["MESSAGES"])) for own in some}
            )
        return {name: found[own_name] for name, own_name in possible.items() if own_name in found}

    def _why_not_gone(self, asked: Mapping[str, tuple[Command, Command]]) -> dict[str, str]:
        """Say why mailboxes may be there; ``asked`` are LIST and STATUS of each, by the server's name."""
        session = self._account.session
        tags = {session.send(command): name for name, both in asked.items() for command in both}
        directories: set[str] = set()
        counts: dict[str, int] = {}
        reasons: dict[str, str] = {}
        for event in session.events():
            if isinstance(event, Listed) and event.name in asked:
                if _holds_messages(event):
                    reasons[event.name] = "the list of all mailboxes left it out, and it is there"
                else:
                    directories.add(event.name)
            elif isinstance(event, MailboxStatus):
                counts[event.name] = event.items.get("MESSAGES", 0)
            elif isinstance(event, Done) and event.kind != "OK":
                refused = session.refused(event.command.name, event.kind, event.code, event.text)
                if event.command.name == "LIST" or refused.refusal not in _SAYS_IT_IS_GONE:
                    reasons[tags[event.tag]] = f"nobody knows whether it is there: {refused}"
            elif isinstance(event, Done) and event.command.name == "STATUS":
                name = tags[event.tag]
                if counts.get(name, 1) or name not in directories:
                    reasons[name] = "the list of all mailboxes left it out, and it is there"
        return reasons

    def expect(self, plan: Sequence[Expected]) -> None:
        account, plans = self._account, []
        for each in plan:
            with suppress(MailboxError):  # told when its turn has come: the server can have no such mailbox
                plans.append(self._planned(each))
        account.expect(plans)

    def _planned(self, each: Expected) -> Plan:
        own_name, count = self._names.own(each.mailbox), self._counts.get(each.mailbox, 0)
        mark = ImapMark.read(each.mark) if self._account.has_modseq else None
        # What is too much for a window is asked for when its turn has come.
        keys = () if each.keys is None and count > WINDOW else each.keys
        return Plan(own_name, each.scans, mark, keys, count, each.makes and each.mailbox != INBOX)

    def make_mailbox(self, mailbox: str) -> None:
        account = self._account
        own_name = self._names.own(mailbox)
        if mailbox == INBOX:
            return
        made = account.make(own_name)
        if made.kind != "OK":
            refused = account.refused("CREATE", made.kind, made.code, made.text)
            if refused.refusal is not Refusal.EXISTS and mailbox not in self.mailboxes([mailbox]):
                raise account.told(refused)

    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        if INBOX in (mailbox, new_name):
            raise MailboxError("INBOX keeps its name")
        self._account.unselect()
        old, new = self._names.own(mailbox), self._names.own(new_name)
        subscribed = self._subscribed_from(old)
        try:
            self._account.ask(commands.rename(old, new))
        except MailboxError as error:
            listed = self._account.ask(commands.list_mailboxes([new]))
            if any(isinstance(each, Listed) and not _holds_messages(each) for each in listed):
                raise NameTakenError(str(error)) from None
            raise
        self._account.forget(old, new)
        session = self._account.session
        for own_name in subscribed:  # or mail readers, and we ourselves, might not see it any more
            session.send(commands.subscribe(new + own_name[len(old) :]))
            session.send(commands.unsubscribe(own_name))
        list(session.events())

    def _subscribed_from(self, own_name: str) -> list[str]:
        """Return the names of a mailbox and of those below it, as far as they are subscribed."""
        below = own_name + self._names.form.separator
        session = self._account.session
        for pattern in (own_name, f"{below}*"):
            if _is_extended(session):
                session.send(commands.list_mailboxes([pattern], selection=["SUBSCRIBED"]))
            else:
                session.send(commands.list_subscribed(pattern))
        found = {each.name for each in session.events() if isinstance(each, Listed) and _is_subscribed(each)}
        return sorted(name for name in found if name == own_name or name.startswith(below))

    def remove_mailbox(self, mailbox: str) -> None:
        self._account.unselect()
        own_name = self._names.own(mailbox)
        answers = self._account.ask(commands.status(own_name, ["MESSAGES"]))
        counts = [each.items.get("MESSAGES") for each in answers if isinstance(each, MailboxStatus)]
        if counts != [0]:
            raise NotEmptyError(f"{show(mailbox)} is not empty")
        self._account.ask(commands.delete(own_name))
        self._account.forget(own_name)

    def open_mailbox(self, mailbox: str) -> Mailbox:
        return ImapMailbox(self._account, self._names.own(mailbox), self._names)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = self._meeting = None


def _is_extended(session: Session) -> bool:
    """Tell whether LIST has options; LIST-STATUS comes with them (RFC 5819)."""
    return session.can("LIST-EXTENDED") or session.can("LIST-STATUS")


def _holds_messages(listed: Listed) -> bool:
    return not listed.attributes & {"\\noselect", "\\nonexistent"}


def _is_subscribed(listed: Listed) -> bool:
    """Tell of a mailbox that was listed; a LSUB also names those that are above a subscribed one."""
    if listed.is_subscription:
        return "\\noselect" not in listed.attributes
    return "\\subscribed" in listed.attributes


def _uses(attributes: Iterable[str]) -> frozenset[str]:
    return frozenset(use for use in map(as_use, attributes) if use is not None)


def _enable(session: Session) -> None:
    wanted = [word for word in ("CONDSTORE", "QRESYNC") if session.can(word)]
    if session.can("UTF8=ONLY"):
        wanted.append("UTF8=ACCEPT")
    if wanted and session.can("ENABLE"):
        session.send(commands.enable(*wanted))


class _Meeting:
    """What a server tells of its names while we get acquainted, up to the end of its last answer."""

    def __init__(self, session: Session, tag: str) -> None:
        self.session = session
        self.tag = tag
        self._separator = "/"
        self._namespaces: Namespaces | None = None

    def take(self, event: Event) -> bool:
        """Take note of an event; tell whether it is the last one."""
        if isinstance(event, Listed):
            self._separator = event.separator or self._separator
        elif isinstance(event, Namespaces):
            self._namespaces = event
        elif isinstance(event, Done) and event.kind != "OK" and event.command.name in ("NAMESPACE", "LIST"):
            # By other names than the last time every mailbox would look like another one.
            refused = self.session.refused(event.command.name, event.kind, event.code, event.text)
            raise TemporaryError(f"the server does not say what names look like: {refused}", refused.fix)
        return isinstance(event, Done) and event.tag == self.tag

    def found(self) -> tuple[str, Encoding, str, tuple[str, ...]]:
        """Return separator, encoding, our prefix and those of others."""
        connection = self.session.connection
        # UTF-8 where the server has nothing else (RFC 9051, 5.1; RFC 6855, 3).
        is_utf8 = connection.is_rev2 or "UTF8=ACCEPT" in connection.enabled
        separator, prefix, namespaces = self._separator, "", self._namespaces
        if namespaces is not None and namespaces.personal:
            prefix = namespaces.personal[0].prefix
            separator = namespaces.personal[0].separator or separator
        foreign = () if namespaces is None else (*namespaces.others, *namespaces.shared)
        others = tuple(entry.prefix for entry in foreign if entry.prefix and entry.prefix != prefix)
        return separator, "utf-8" if is_utf8 else "utf-7", prefix, others


def _read_remark(remark: bytes) -> tuple[str, Encoding, str, tuple[str, ...]] | None:
    parts = remark.decode("utf-8", "surrogateescape").split("\n")
    if len(parts) < 3 or parts[1] not in ("utf-8", "utf-7"):
        return None
    return parts[0], cast(Encoding, parts[1]), parts[2], tuple(parts[3:])


def _as_listed(own_name: str, encoding: Encoding) -> str:
    """Return a name as the server writes it, also where a person wrote it as it is read."""
    if own_name.isascii():
        return own_name if encoding == "utf-7" else decode_utf7(own_name) or own_name
    return own_name if encoding == "utf-8" else encode_utf7(own_name) or own_name
