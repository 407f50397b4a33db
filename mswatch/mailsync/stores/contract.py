"""What a store of mail must do for the engine: the one contract of all stores.

A *store* is a set of mailboxes with canonical names (``mswatch.names``); a *mailbox* a set of messages. A
*message* is found by its *key*: bytes that the store chose, that no other message of this mailbox has or
gets as long as the *epoch* of the mailbox is the same.  Maildir: the unique part of the file name; IMAP:
the UID, with the UIDVALIDITY as epoch; a store without native marks: a digest and a count.  Its flags may
change under a key; its bytes do not, but for a program that writes into a file of a Maildir, which no listing
shows (``key_of_file``).  Bodies are carried byte for byte; only a store that has line ends
of its own (IMAP: CRLF) translates between them and LF.

What the engine relies on (``tests/stores/contract.py`` tests it on every store):

* **Order of certainty.**  What a method reports as done is done for good: a message that ``add`` reported
  survives a cut of the power.  What it did not report may have been done or not; the engine wrote down
  its intention before and finds out.  ``set_flags``, ``remove``, ``make_mailbox`` may be repeated without
  harm.
* **Vanishing is no error.**  Others work on the store at the same time.  A key that is gone is left out
  of the answers of ``headers``, ``read``, ``set_flags`` and ``move``, and nothing else happens.
* **Absence is certain.**  A scan may miss a message that somebody renames at that moment.  Before a
  deletion is concluded from it, ``absent`` looks again, and names a key only if the message is not there.
* **Many in flight.**  Methods that take many messages take iterables and give iterators: a store pulls as
  many as it likes before it answers, in any order, and has answered all when the iterator ends.  Bodies
  are streamed: a body is read before the next message is pulled, and never held whole unless it is
  small.  When it breaks off (an exception), what was not answered is uncertain.
* **Flags are changed, not replaced.**  ``set_flags`` is told what is to be different, and does nothing to
  the other flags.  Its answer is what both sides agreed on and not what it found: flags that somebody else
  set or took away between the look and the change are different from it at the next look.
* **Marks are cheap.**  A mark stands for the content of a mailbox at one moment: equal marks, equal keys
  and flags.  None says that nothing can be promised.  A mark that might also be the mark of a later
  content is not given.
* **Stamps are for who has no marks.**  A store that can only tell everything may give each message a stamp:
  equal stamps, equal flags.  It is handed those that the engine knows, and tells what is different.

Errors.  UnavailableError: the store as a whole cannot be reached; the run ends.  MailboxError or OSError:
this mailbox cannot be worked on now; the engine goes on with the next one, after ``mend``.  What is wrong
with one message is an answer, not an error.

Only one mailbox of a store is open at a time; a second ``open_mailbox`` may reuse the connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mswatch.errors import TemporaryError
from mswatch.mailsync.content import Digesting
from mswatch.mailsync.flags import FlagChange, Flags

Key = bytes
Mark = bytes
Stamp = bytes


UNSUBSCRIBED = "unsubscribed"  # of a mailbox that is not subscribed, where that is asked for


class MailboxError(TemporaryError):
    """One mailbox cannot be worked on now; others may."""


class NotEmptyError(MailboxError):
    """A mailbox that was to be removed holds messages, or something that is no mail."""


class NameTakenError(MailboxError):
    """A mailbox cannot be renamed to what is a directory of others; one can be made there all the same."""


@dataclass(frozen=True)
class Seen:
    """A mailbox in the list of a store.

     ``identity`` stays the same when the mailbox is renamed and is another one's otherwise, as far as the
    store can tell (Maildir: the directory's inode; IMAP: MAILBOXID, else UIDVALIDITY); empty: it cannot.
     The engine believes in a rename only if the messages moved along.

    ``uses`` are those of ``names.USES`` that the store says the mailbox is for, or UNSUBSCRIBED; None: it
    does not say.
    """

    identity: bytes = b""
    mark: Mark | None = None
    uses: frozenset[str] | None = None


@dataclass(frozen=True)
class Scan:
    """What a mailbox holds, or what is different since a mark.

    Attributes:
        epoch: Keys are worth something only while this stays the same.
        mark: Stands for this content; None if that is not certain.
        complete: ``present`` has every message; otherwise only those that are new or have other flags.
        present: Flags by key; None where they are as they were at the mark.
        vanished: Only if not complete: keys that are gone since the mark.
        stamps: Of the messages that are present; empty in a store that has none.
    """

    epoch: bytes
    mark: Mark | None
    complete: bool
    present: Mapping[Key, Flags | None]
    vanished: Collection[Key] = ()
    stamps: Mapping[Key, Stamp] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """A message on its way from one store into another one."""

    key: Key  # in the mailbox it comes from
    flags: Flags
    date_ns: int  # when it was received, since 1970
    size: int  # bytes of the body as the chunks make it; may be an estimate (then ``exact`` is false)
    chunks: Iterator[bytes]  # the first one holds the whole header, unless that is huge
    exact: bool = True
    proposed: Key | None = None  # the key it shall get, from ``propose`` of the store it goes to


@dataclass(frozen=True)
class NotRead:
    """What is there under a key but was not read, and why.

    ``lasting``: trying again changes nothing (too large; a FIFO where a message should be).  Otherwise
     the run failed for this message, and the next one tries it again.
    """

    key: Key
    reason: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What all bytes of a message come to: their digest, and how many they are with CRLF line ends."""

    key: Key
    digest: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Added:
    """A message that is in the store for good; ``source`` is the key of the Message that was handed in."""

    source: Key
    key: Key
    flags: Flags  # which of the flags it holds
    stamp: Stamp | None = None  # which stands for these flags


@dataclass(frozen=True)
class NotAdded:
    """A message that the store does not take, and why; others may still be taken."""

    source: Key
    reason: str


@dataclass
class Prepared:
    """Messages of one mailbox that a store has written, and that nobody sees yet; a store adds what it needs.

    ``is_part``: something failed, and messages are missing; those that are here are delivered all the same.
    """

    is_part: bool = False


class Known(ABC):
    """What the engine remembers of the messages of a mailbox: much, so ask for no more than is needed."""

    @abstractmethod
    def names(self) -> Iterator[Sequence[bytes | None]]:
        """Give key and stamp of each message as one word, in portions; None for messages without a stamp."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Tell whether no message is known."""

    @abstractmethod
    def unstamped(self) -> Collection[Key]:
        """Return the messages without a stamp: it is not known which flags they have now."""

    @abstractmethod
    def stamps(self, keys: Collection[Key]) -> Iterator[tuple[Key, Stamp | None]]:
        """Give those of these messages that are known, with their stamps."""

    @abstractmethod
    def has_longer(self, keys: Collection[Key], separator: bytes) -> bool:
        """Tell whether the key of any message is one of these, the separator and something more."""


class Mailbox(ABC):
    """An open mailbox."""

    known: Known | None = None  # what the engine remembers of it, where it does

    @abstractmethod
    def scan(self, since: Mark | None) -> Scan:
        """Say what is there; with a mark that the store still understands, only what is different."""

    def scan_known(self, since: Mark | None) -> Scan:
        """Say what is different since the mark, or else from what is known.

        A known message without a stamp is told with the flags that it has, whatever they are.
        """
        return self.scan(since)

    def absent(self, keys: Collection[Key]) -> Collection[Key]:
        """Look again for messages that a scan did not find; return those that are certainly not there."""
        return keys

    def given(self, keys: Collection[Key]) -> Collection[Key]:
        """Return those keys that the mailbox has given to a message some time, by what the last scan told.

        Of a key that a remote store said it had given, and that no scan found since: whether there ever was
        such a message.  Where that cannot be told, there was none.
        """
        return keys

    @abstractmethod
    def headers(self, keys: Sequence[Key]) -> Iterator[tuple[Key, bytes] | NotRead]:
        """Give the header of each message, in any order; at least the fields in ``pairing.FIELDS``."""

    @abstractmethod
    def read(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        """Give the messages in any order, each to be used up before the next is asked for.

        One of more than ``size_limit`` bytes comes as NotRead, and is not transferred.
        """

    def contents(self, keys: Sequence[Key]) -> Iterator[Content | NotRead]:
        """Read messages, in any order, and say what their bytes come to."""
        for each in self.read(keys):
            if isinstance(each, NotRead):
                yield each
            else:
                passed = Digesting(each.chunks, counts=True).exhaust()
                yield Content(each.key, passed.digest or b"", passed.size)

    def sizes(self, keys: Sequence[Key]) -> Mapping[Key, int]:
        """Return how many bytes messages have, with CRLF line ends, without transferring any.

        Those whose size is not certain are left out: all of them, in a store that is not remote.
        """
        return {}

    def carry(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        """Give messages that are to be added to another store, as ``read`` does."""
        return self.read(keys, size_limit)

    def larger(self, keys: Sequence[Key], size_limit: int) -> Iterator[NotRead]:
        """Give those of these messages that ``carry`` refuses for their size, without transferring any."""
        for each in self.read(keys, size_limit):
            if isinstance(each, NotRead) and each.lasting:
                yield each

    @abstractmethod
    def propose(self, count: int) -> Sequence[Key] | None:
        """Return keys that ``add`` will give to messages that ask for them; None if the store cannot choose.

        The engine writes them down first.  After a crash a message under such a key is the one that
        was meant; where a store cannot choose, it is found by its content among those that are new.
        """

    def discard(self, keys: Sequence[Key]) -> None:
        """Clear up what a run that was cut off may have left of messages with these proposed keys."""
        return

    @abstractmethod
    def add(self, messages: Iterable[Message]) -> Iterator[Added | NotAdded]:
        """Add messages with their flags and dates; what is reported is there for good."""

    def prepare(self, messages: Iterable[Message], prepared: Callable[[Prepared], None]) -> bool:
        """Write messages where nobody sees them, to be delivered with those of other mailboxes.

        ``prepared`` is told what is to be handed to ``Store.deliver``, also if this breaks off.  False, and
        no message is pulled, where that gains nothing: then they are to be added.
        """
        return False

    @abstractmethod
    def set_flags(self, changes: Mapping[Key, FlagChange]) -> Iterator[tuple[Key, Flags]]:
        """Add and take away flags, and touch no others, whatever the messages have by now.

        Answer with ``FlagChange.agreed``: the flags a message was seen with, and of the change what the store
        keeps.  What others did meanwhile is never in the answer, and no stamp is given that would hide it.
        """

    def stamp(self, key: Key) -> Stamp | None:
        """Return the stamp of a message whose flags were just set; None if it is not known."""
        return None

    @abstractmethod
    def remove(self, keys: Sequence[Key]) -> Iterator[Key]:
        r"""Remove messages for good, these and no others (not everything that is marked ``\Deleted``).

        Answer with the keys that are not there any more, whoever removed them.
        """

    @abstractmethod
    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        """Move messages to another mailbox of this store, which is there; answer with their keys in it.

        None if the new key is not known.  Nothing is lost if it breaks off: a message is in one of them,
          or in both.
        """

    @abstractmethod
    def close(self) -> None:
        """End the work on this mailbox.  Nothing is removed by it."""


@dataclass(frozen=True)
class Expected:
    """What a mailbox is asked next: a scan with this mark; then these messages, or with None all of them.

    With ``makes`` it is made before that, by ``make_mailbox``.
    """

    mailbox: str
    scans: bool
    mark: Mark | None = None
    keys: Sequence[Key] | None = ()
    makes: bool = False


class Store(ABC):
    """A set of mailboxes."""

    name: str  # for messages
    renames_below: bool = True  # mailboxes below a renamed one move along
    is_remote: bool = False  # what is read has to be transferred
    # What a person should know of and nothing can be done about, one line each.  They belong to the whole
    # list of mailboxes, which writes them anew; a question about single ones leaves them as they are.
    notes: list[str]

    @abstractmethod
    def open(self) -> bool:
        """Get ready; tell whether there is a store at all (not: whether it holds anything)."""

    def mend(self) -> None:
        """Get ready again after a step that failed: connect anew, if the connection broke.

        Raises:
            TemporaryError: The store cannot be reached any more; the run ends.
        """
        return

    def recall(self, remark: bytes) -> None:
        """Take what ``remark`` said in the last run, before ``open``; empty, or not true any more."""
        return

    def remark(self) -> bytes:
        """Return what will save time in the next run."""
        return b""

    @abstractmethod
    def make(self) -> None:
        """Make the store where ``open`` found none."""

    @abstractmethod
    def identity(self) -> bytes:
        """Return what tells this store from one made anew at the same place; empty: that cannot be told."""

    @abstractmethod
    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        """Return the mailboxes that can hold messages, by canonical name; with ``only``, those of them.

        One look for all of them, as cheap as it can be: when all marks are the known ones the run is over.
        """

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        """Name those of these mailboxes, which ``mailboxes`` did not find, that may be there, and why.

        A directory that cannot be read now, a file that is no mailbox any more: they are left alone and
        told, and not taken for removed.
        """
        return {}

    def stamp_paths(self) -> Iterable[bytes] | None:
        """Return the files and directories whose times tell of every change in the store; None: they do not.

        Asked before ``mailboxes``.  With them a run in which nothing changed is over before it began.
        """
        return None

    def key_of_file(self, file: str) -> Key | None:
        """Return the key of the message in a file of a mailbox, named as a watcher tells it.

        None where bytes never change under a key: then whoever writes into a file makes another message.
        """
        return None

    def expect(self, plan: Sequence[Expected]) -> None:
        """Know what is asked next, in this order; something may be left out, and something else come between.

        A store that is far away may ask ahead, and make ahead: an empty mailbox that then is not wanted does
        no harm.
        """
        return

    @abstractmethod
    def make_mailbox(self, mailbox: str) -> None:
        """Make a mailbox, and those above it if need be; one that exists is left as it is."""

    @abstractmethod
    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        """Rename a mailbox; messages keep keys and flags.  Mailboxes below it may move along: look again.

        Raises:
            NameTakenError: There is something of the new name, which is no mailbox but may become one.
        """

    @abstractmethod
    def remove_mailbox(self, mailbox: str) -> None:
        """Remove a mailbox that holds no message; those below it stay.

        Raises:
            NotEmptyError: It holds messages.
        """

    def deliver(self, prepared: Sequence[Prepared]) -> Iterator[tuple[int, Added | NotAdded]]:
        """Deliver what mailboxes have prepared; answer as ``Mailbox.add`` does, and of which it is."""
        raise AssertionError("delivered by a store that prepares nothing")

    @abstractmethod
    def open_mailbox(self, mailbox: str) -> Mailbox:
        """Open a mailbox for reading and writing."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""
