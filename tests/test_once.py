"""One change, one run: no echo of a run starts a second one, and no change of somebody else is taken for one.

The service, the shim and mbsync are the real ones, between two Maildirs.  That there was no second run is
seen without waiting: watchers tell changes in order, so that an echo would be told before a later change of
the same store.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mswatch.account import Layout
from tests.servers import mbsync
from tests.servers.dovecot import Dovecot, ImapAccount
from tests.servers.maildir import MaildirStore, deliver, flags_of, messages, remove, set_flags
from tests.servers.waiting import arrivals, wait_until
from tests.service.harness import Service

pytestmark = [pytest.mark.server, pytest.mark.slow]

MAILBOXES = ("INBOX", "lists/python")


class Pair:
    """Two Maildirs, one of which may be that of a server, and the service between them."""

    def __init__(
        self, base: Path, layout: Layout, wrapper: str = "", account: ImapAccount | None = None
    ) -> None:
        self.near = MaildirStore(base / "near", layout)
        self.far = MaildirStore(base / "far", layout) if account is None else account.store
        for mailbox in MAILBOXES:
            self.near.make(mailbox)
            self.far.make(mailbox)
        arguments = json.dumps(["-c", str(mbsync.write_configuration(base, self.near, account or self.far))])
        program = f'command = ["{wrapper}"]\n' if wrapper else ""
        self.file = base / "work.toml"
        self.file.write_text(
            'base_delay = 0\ninter_delay = 0\nmax_delay = "1s"\n'
            f'[sync]\nwith = "mbsync"\n{program}channel = "{mbsync.CHANNEL}"\narguments = {arguments}\n'
            + "".join(
                f'[store.{name}]\nmaildir = {json.dumps(str(store.root))}\nlayout = "{store.layout}"\n'
                for name, store in (("near", self.near), ("far", self.far))
            )
        )

    def is_equal(self) -> bool:
        """Tell whether both sides have the same."""
        return self.near.contents() == self.far.contents()


@pytest.fixture(params=["nested", "maildir++"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Two empty stores."""
    return Pair(tmp_path, request.param)


@pytest.fixture
def service(pair: Pair, tmp_path: Path) -> Iterator[Service]:
    """The service after its first run for everything."""
    with Service(tmp_path, "--config", str(pair.file)) as service:
        service.expect("Watching mailstores")
        wait_until(lambda: is_at_rest(service, everything=True), "the first run is done")
        yield service


def is_at_rest(service: Service, *, everything: bool = False) -> bool:
    """Tell whether nothing runs and nothing is pending."""
    status = service.status()
    pending = any(target["pending_since"] is not None for target in status["mailboxes"].values())
    first = status["everything"]
    done = first["in_step_at"] is not None and first["pending_since"] is None
    return status["running"] is None and not pending and (done or not everything)


def carried(source: Path, target: Path) -> Path:
    """Deliver a message, and return what arrives on the other side."""
    with arrivals(target / "new", target / "cur") as arrived:
        deliver(source)
        return arrived.next()


def runs(service: Service) -> list[str]:
    """Return for which mailboxes the syncer was called."""
    service.wait()
    calls = [line for line in service.log.splitlines() if " + " in line]
    return [line.rpartition(f" {mbsync.CHANNEL}")[2] for line in calls]


def test_one_delivery_one_run(pair: Pair, service: Service) -> None:
    """Whichever side mail comes to, each message is one run."""
    carried(pair.near.path("INBOX"), pair.far.path("INBOX"))
    carried(pair.far.path("lists/python"), pair.near.path("lists/python"))
    carried(pair.near.path("lists/python"), pair.far.path("lists/python"))
    carried(pair.far.path("INBOX"), pair.near.path("INBOX"))
    wait_until(lambda: is_at_rest(service), "nothing is pending")
    assert service.status()["echoes"] > 0
    assert service.end() == 0

    assert runs(service)[-4:] == [":INBOX", ":lists/python", ":lists/python", ":INBOX"]


def test_records_that_are_lost(pair: Pair, service: Service, tmp_path: Path) -> None:
    """Where the service hears nothing of what runs did, the echo costs runs that find nothing, no more."""
    (tmp_path / "runtime/mswatch/work.echo").unlink()
    succeeded = service.status()["runs"]["succeeded"]
    for number, (source, target) in enumerate(((pair.far, pair.near), (pair.near, pair.far)), 1):
        carried(source.path("INBOX"), target.path("INBOX"))
        wait_for_runs(service, succeeded + 2 * number)  # one for the echo
    assert pair.is_equal()
    assert service.end() == 0

    calls = runs(service)[2:]  # after INBOX and all
    mailboxes = [mailbox for call in calls for mailbox in call.removeprefix(":").split(",")]
    assert set(mailboxes) == {"INBOX"}
    assert len(mailboxes) <= 8


def wait_for_runs(service: Service, count: int) -> None:
    """Wait until so many runs have succeeded, and there is nothing more to do."""
    wait_until(lambda: service.status()["runs"]["succeeded"] >= count, f"{count} runs")
    wait_until(lambda: is_at_rest(service), "nothing is pending")


def test_a_server_that_takes_mail(tmp_path: Path, dovecot: Dovecot, user: str) -> None:
    """A server moves what it lists from new to cur, and that is no second run."""
    pair = Pair(tmp_path, "nested", account=dovecot.account(user))
    with Service(tmp_path, "--config", str(pair.file)) as service:
        service.expect("Watching mailstores")
        wait_until(lambda: is_at_rest(service, everything=True), "the first run is done")
        for mailbox in MAILBOXES:
            carried(pair.far.path(mailbox), pair.near.path(mailbox))
        carried(pair.far.path("INBOX"), pair.near.path("INBOX"))
        wait_until(lambda: is_at_rest(service), "nothing is pending")
        assert service.end() == 0
        assert runs(service)[-3:] == [":INBOX", ":lists/python", ":INBOX"]


def test_mailsync(tmp_path: Path) -> None:
    """The same by our own synchroniser, which is the syncer of an account that names none."""
    near, far = (MaildirStore(tmp_path / side, "nested") for side in ("near", "far"))
    for store in (near, far):
        for mailbox in MAILBOXES:
            store.make(mailbox)
    file = tmp_path / "work.toml"
    file.write_text(
        "base_delay = 0\ninter_delay = 0\n"
        + "".join(
            f'[store.{name}]\nmaildir = {json.dumps(str(store.root))}\nlayout = "nested"\n'
            for name, store in (("near", near), ("far", far))
        )
    )
    with Service(tmp_path, "--config", str(file)) as service:
        service.expect("Watching mailstores")
        wait_until(lambda: is_at_rest(service, everything=True), "the first run is done")
        before = service.status()["runs"]["started"]
        carried(near.path("INBOX"), far.path("INBOX"))
        carried(far.path("lists/python"), near.path("lists/python"))
        carried(near.path("lists/python"), far.path("lists/python"))
        carried(far.path("INBOX"), near.path("INBOX"))
        wait_until(lambda: is_at_rest(service), "nothing is pending")
        assert service.status()["runs"]["started"] == before + 4
        assert near.contents() == far.contents()


def test_whoever_is_quicker_than_the_run(pair: Pair, service: Service) -> None:
    """A message that is read or deleted the moment it arrives is news, although a run put it there."""
    for number in range(6):
        arrived = carried(pair.far.path("INBOX"), pair.near.path("INBOX"))
        if number % 3 == 2:
            remove(arrived)
        else:
            set_flags(arrived, "FS" if number % 2 else "S")
    carried(pair.near.path("lists/python"), pair.far.path("lists/python"))

    wait_until(lambda: pair.is_equal() and is_at_rest(service), "both sides are equal")
    assert sorted(map(flags_of, messages(pair.far.path("INBOX")))) == ["FS", "FS", "S", "S"]


def test_what_a_wrapper_does_is_news(tmp_path: Path) -> None:
    """A program around the syncer that moves mail afterwards does so for both sides."""
    wrapper = tmp_path / "filter"
    pair = Pair(tmp_path, "nested", str(wrapper))
    inbox, other = pair.near.path("INBOX"), pair.near.path("lists/python")
    wrapper.write_text(
        '#!/bin/sh\nmbsync "$@" || exit\n'
        f"for message in {inbox}/new/* {inbox}/cur/*; do\n"
        f'    test ! -f "$message" || mv "$message" "{other}/cur/$(date +%s%N).$$.filter:2,"\n'
        "done\n"
    )
    wrapper.chmod(0o755)
    with Service(tmp_path, "--config", str(pair.file)) as service:
        service.expect("Watching mailstores")
        wait_until(lambda: is_at_rest(service, everything=True), "the first run is done")
        with arrivals(
            pair.far.path("lists/python") / "new", pair.far.path("lists/python") / "cur"
        ) as arrived:
            deliver(pair.far.path("INBOX"))
            arrived.next()
        wait_until(lambda: pair.is_equal() and is_at_rest(service), "both sides are equal")
        assert messages(pair.far.path("INBOX")) == []
