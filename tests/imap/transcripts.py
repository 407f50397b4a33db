r"""Plays transcripts of conversations with servers, as bug reports and RFCs have them.

====  =====================================================================================
S:    a line from the server; ``\xNN`` stands for such a byte
C:    a line that the client sends, with the tag that our connection gives it
=     what has come out: ``server NAME``, ``refusal NAME`` (of the last NO, BAD or BYE), ``can NAME``,
      ``cannot NAME``, ``habit NAME`` (one of the server's quirks), ``last RESPONSE`` (the last response, as
      Python), ``state NAME``
#     a remark; the first says which server and which habit
====  =====================================================================================
"""

from __future__ import annotations

from pathlib import Path

from mswatch.imap import responses
from mswatch.imap.commands import Command
from mswatch.imap.connection import Connection, Done, Event
from mswatch.imap.quirks import Quirks, recognise
from mswatch.imap.refusals import classify
from mswatch.imap.responses import Identification, Status
from tests.imap.feeding import events

DIRECTORY = Path(__file__).parent / "transcripts"


class Player:
    """A connection that a transcript drives."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.events: list[Event] = []

    def play(self, text: str) -> None:
        """Play a transcript to its end; an assertion says what came out otherwise."""
        for number, line in enumerate(text.splitlines(), 1):
            kind, _, rest = line.partition(" ")
            if kind == "S:":
                self.events += events(self.connection, _bytes(rest) + b"\r\n")
            elif kind == "C:":
                self._send(_bytes(rest))
            elif kind == "=":
                word, _, wanted = rest.partition(" ")
                assert getattr(self, f"check_{word}")(wanted), f"line {number}: {line}"

    def _send(self, line: bytes) -> None:
        tag, name, *rest = line.split(b" ", 2)
        command = Command(name.decode(), tuple(b" " + part for part in rest))
        assert self.connection.send(command) == tag.decode()
        assert self.connection.take_outgoing() == line + b"\r\n"

    @property
    def _quirks(self) -> Quirks:
        greeting = self.connection.greeting
        fields = next((event.fields for event in self.events if isinstance(event, Identification)), None)
        return recognise(greeting.text if greeting else "", self.connection.capabilities, fields)

    def check_server(self, name: str) -> bool:
        """Tell whether the server was recognised."""
        return self._quirks.name == name

    def check_habit(self, name: str) -> bool:
        """Tell whether the server has a habit."""
        return getattr(self._quirks, name) is True

    def check_refusal(self, name: str) -> bool:
        """Tell what the last refusal was understood as."""
        for event in reversed(self.events):
            if isinstance(event, Done) and event.kind != "OK":
                found = classify(
                    event.kind, event.code, event.text, command=event.command.name, quirks=self._quirks
                )
                return found.name == name
            if isinstance(event, Status) and event.kind == "BYE":
                return classify(event.kind, event.code, event.text, quirks=self._quirks).name == name
        return False

    def check_can(self, name: str) -> bool:
        """Tell whether the server is known to have a capability."""
        return self.connection.can(name)

    def check_cannot(self, name: str) -> bool:
        """Tell whether the server is not known to have a capability."""
        return not self.connection.can(name)

    def check_state(self, name: str) -> bool:
        """Tell in which state the connection is."""
        return self.connection.state.name == name

    def check_last(self, shown: str) -> bool:
        """Tell what the last response was."""
        return bool(self.events[-1] == eval(shown, dict(vars(responses))))


def _bytes(text: str) -> bytes:
    return (
        text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
        if "\\x" in text
        else text.encode()
    )
