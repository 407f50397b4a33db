"""The main job with real parts: mail changes on both sides, by any means, and both sides become equal.

The service is the real one, so are mbsync, offlineimap and Dovecot; the far store is watched as on a mail
server, by ``inputkill watch_maildirs``.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mswatch.account import Layout
from tests.servers import mbsync, offlineimap
from tests.servers.dovecot import Dovecot
from tests.servers.maildir import MaildirStore, deliver, messages, remove, set_flags
from tests.servers.waiting import arrivals, wait_until
from tests.service.harness import Service, environment, mswatch

pytestmark = [pytest.mark.server, pytest.mark.slow]

MAILBOXES = ("INBOX", "lists/python", "Entwürfe", "sp ace")
WATCH = [sys.executable, "-m", "watch_maildirs.inputkill", "--", sys.executable, "-m", "watch_maildirs"]


def toml(sync: str, near: MaildirStore, far: str) -> str:
    """Return an account's configuration."""
    return (
        f'base_delay = "100ms"\ninter_delay = "300ms"\nmax_delay = "2s"\n[sync]\n{sync}\n'
        f"[store.near]\nmaildir = {json.dumps(str(near.root))}\nlayout = {json.dumps(near.layout)}\n"
        f"[store.far]\n{far}\n"
    )


def watched(store: MaildirStore) -> str:
    """Return the settings of a store that is watched by a command, as one on another host."""
    command = [*WATCH, "--layout", store.layout, "--maildir", str(store.root)]
    separator = "." if store.layout == "maildir++" else "/"
    return f'command = {json.dumps(command)}\nseparator = "{separator}"\nencoding = "utf-7"\n'


@contextmanager
def in_step(base: Path, text: str) -> Iterator[Service]:
    """Run the service of this account, and begin when everything was synced once."""
    file = base / "work.toml"
    file.write_text(text)
    with Service(base, "--config", str(file)) as service:
        service.expect("Watching mailstores")
        wait_until(lambda: _is_in_step(service), "the first run is done")
        yield service


def _is_in_step(service: Service) -> bool:
    status = service.status()
    return status["everything"]["in_step_at"] is not None and status["running"] is None


def live(
    stores: tuple[MaildirStore, MaildirStore], rounds: int, seed: int, settled: Callable[[], object]
) -> int:
    """Deliver, flag and remove messages on both sides for some rounds; return how many are left.

    A message is only touched on the side where this round looks, and only between rounds: what two people do
    to one message at the same moment is the synchroniser's business, not ours.
    """
    chance = random.Random(seed)
    count = sum(len(found) for found in stores[0].contents().values())
    for _ in range(rounds):
        for store in stores:
            for mailbox in chance.sample(MAILBOXES, 2):
                for _ in range(chance.randrange(1, 4)):
                    deliver(store.path(mailbox))
                    count += 1
        settled()
        store = chance.choice(stores)
        mailbox = chance.choice(MAILBOXES)
        there = messages(store.path(mailbox))
        for message in there[:2]:
            set_flags(message, chance.choice(["S", "FS", "RS"]))
        if len(there) > 3:
            remove(there[3])
            count -= 1
        settled()
    return count


def equal(near: MaildirStore, far: MaildirStore) -> bool:
    """Tell whether both sides have the same messages with the same flags."""
    return near.contents() == far.contents()


def check_main_job(base: Path, text: str, near: MaildirStore, far: MaildirStore) -> None:
    """Live with both stores for a while, and hold every message to account."""
    with in_step(base, text) as service:

        def settled() -> None:
            wait_until(lambda: equal(near, far) and _at_rest(service), "both sides are equal")

        expected = live((near, far), 3, 7, settled)

        assert sum(len(found) for found in near.contents().values()) == expected
        wait_until(lambda: _at_rest(service), "nothing is pending")
        assert "errored" not in service.log
        assert service.end() == 0


def _at_rest(service: Service) -> bool:
    status = service.status()
    pending = [target for target in status["mailboxes"].values() if target["pending_since"] is not None]
    return status["running"] is None and not pending


@pytest.mark.parametrize("layout", ["nested", "maildir++"])
def test_mbsync_between_two_maildirs(tmp_path: Path, layout: Layout) -> None:
    """Two Maildirs, both watched here, are kept equal by mbsync."""
    near, far = MaildirStore(tmp_path / "near", layout), MaildirStore(tmp_path / "far", layout)
    for mailbox in MAILBOXES:
        near.make(mailbox)
        far.make(mailbox)
    configuration = mbsync.write_configuration(tmp_path, near, far)
    sync = (
        f'with = "mbsync"\nchannel = "{mbsync.CHANNEL}"\narguments = ["-c", {json.dumps(str(configuration))}]'
    )

    check_main_job(
        tmp_path,
        toml(sync, near, f"maildir = {json.dumps(str(far.root))}\nlayout = {json.dumps(layout)}"),
        near,
        far,
    )


def test_mbsync_with_a_server(tmp_path: Path, dovecot: Dovecot, user: str) -> None:
    """A Maildir and a Dovecot account, whose Maildir a watcher command tells of, are kept equal by mbsync."""
    account = dovecot.account(user)
    near, far = MaildirStore(tmp_path / "near", "nested"), account.store
    for mailbox in MAILBOXES:
        near.make(mailbox)
        far.make(mailbox)
    configuration = mbsync.write_configuration(tmp_path, near, account)
    sync = (
        f'with = "mbsync"\nchannel = "{mbsync.CHANNEL}"\narguments = ["-c", {json.dumps(str(configuration))}]'
    )

    check_main_job(tmp_path, toml(sync, near, watched(far)), near, far)


def test_offlineimap_with_a_server(tmp_path: Path, dovecot: Dovecot, user: str) -> None:
    """The same by offlineimap, with its lists of accounts and folders."""
    account = dovecot.account(user)
    near, far = MaildirStore(tmp_path / "near", "nested"), account.store
    for mailbox in MAILBOXES:
        near.make(mailbox)
        far.make(mailbox)
    configuration = offlineimap.write_configuration(tmp_path, near, account)
    arguments = f'arguments = ["-c", {json.dumps(str(configuration))}]'
    sync = f'with = "offlineimap"\naccount = "{offlineimap.ACCOUNT}"\n{arguments}'

    check_main_job(tmp_path, toml(sync, near, watched(far)), near, far)


def test_an_old_configuration_as_it_is(tmp_path: Path) -> None:
    """An old .mswatchrc does the same job without a change, and under the old name."""
    near, far = MaildirStore(tmp_path / "near", "maildir++"), MaildirStore(tmp_path / "far", "maildir++")
    for store in (near, far):
        store.make("INBOX")
    configuration = mbsync.write_configuration(tmp_path, near, far)
    env = environment(tmp_path)
    words = " ".join(WATCH)
    (tmp_path / "home/.mswatchrc").write_text(
        f"# short delays\nbase_delay 0\ninter_delay 1\n\nsync mbsync -c {configuration}\n"
        f"mailbox_prefix {mbsync.CHANNEL} :\n"
        f"store near {{ watch {words} -m {near.root} }}\nstore far {{ watch {words} -m {far.root} }}\n"
    )
    with Service(tmp_path, argv=mswatch(), env=env) as service:
        service.expect("Watching mailstores")
        service.expect("(all mailboxes)")
        with arrivals(far.path("INBOX") / "new") as arrived:
            deliver(near.path("INBOX"))
            arrived.next()
        service.expect(f"+ mbsync -c {configuration} mail:INBOX")


def test_a_new_and_a_removed_mailbox(tmp_path: Path) -> None:
    """A new mailbox is synced with its first message; a removed one is not tried for ever."""
    near, far = MaildirStore(tmp_path / "near", "nested"), MaildirStore(tmp_path / "far", "nested")
    near.make("INBOX")
    far.make("INBOX")
    configuration = mbsync.write_configuration(tmp_path, near, far)
    (tmp_path / "state").mkdir()
    state = f"SyncState {tmp_path}/state/"  # in the mailbox it would vanish too, and mbsync bring it back
    configuration.write_text(configuration.read_text().replace("SyncState *", state))
    sync = (
        f'with = "mbsync"\nchannel = "{mbsync.CHANNEL}"\narguments = ["-c", {json.dumps(str(configuration))}]'
    )
    far_text = f'maildir = {json.dumps(str(far.root))}\nlayout = "nested"'
    with in_step(tmp_path, toml(sync, near, far_text)) as service:
        near.make("projects/mail")
        deliver(near.path("projects/mail"))
        wait_until(
            lambda: len(far.contents().get("projects/mail", ())) == 1, "the new mailbox is on the other side"
        )
        wait_until(lambda: _at_rest(service), "nothing is pending")
        near.remove("projects/mail")
        service.expect("cannot be opened")

        wait_until(lambda: _at_rest(service), "nothing is pending")
        assert service.status()["mailboxes"]["projects/mail"]["failures"] == 0
