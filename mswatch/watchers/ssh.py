"""Watchers on another host: how ssh is called, and what it means when it fails.  Pure.

The login shell there may be any (sh, bash, zsh, fish, csh, tcsh) and may print what it likes: so one line is
run that all of them read alike, and it first prints MARKER, before which nothing counts.

ssh must neither ask nor wait for ever.  A master connection that the user has is used, but none is made: it
would outlive us.  Where there is a master, its settings decide about keep-alive and not ours; that is why
watchers that can answer are asked by the service (``core.supervision``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mswatch.account import Ssh
from mswatch.watchers.sent import TOO_OLD

MARKER = b"mswatch-watcher-begins\n"
CONNECT_LIMIT_S = 15
ALIVE_INTERVAL_S, ALIVE_COUNT = (
    20,
    2,
)  # a dead connection ends within 60 s: 20 to the first question, 2 unanswered
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": str(CONNECT_LIMIT_S),
    "ServerAliveInterval": str(ALIVE_INTERVAL_S),
    "ServerAliveCountMax": str(ALIVE_COUNT),
    "RequestTTY": "no",
    "EscapeChar": "none",
    "ControlMaster": "no",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "RemoteCommand": "none",
    "PermitLocalCommand": "no",
    "LogLevel": "INFO",  # in a quieter one it does not say why it fails
}


def over_ssh(ssh: Ssh, words: Sequence[str]) -> tuple[str, ...]:
    """Return the command that runs these words on the host."""
    options = [word for key, value in _OPTIONS.items() for word in ("-o", f"{key}={value}")]
    if ssh.config is not None:
        options += ["-F", str(ssh.config)]
    if ssh.port is not None:
        options += ["-p", str(ssh.port)]
    if ssh.identity is not None:
        options += ["-i", str(ssh.identity), "-o", "IdentitiesOnly=yes"]
    return (*ssh.command, *options, "--", ssh.host, remote_line([*ssh.prefix, *words]))


def remote_line(words: Sequence[str]) -> str:
    """Return the line that has any login shell print MARKER and become these words."""
    return f"echo {MARKER.decode().strip()}; exec {' '.join(map(quote, words))}"


def quote(word: str) -> str:
    r"""Return a word as sh, fish and csh all read it; ``~/`` at its start stays the home directory.

    A quote, a backslash (which fish reads inside of quotes) and an exclamation mark (which csh does) stand
    outside of quotes, behind a backslash.
    """
    if word.startswith("~/"):
        return "~/" + (quote(word[2:]) if word != "~/" else "")
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,-]+(=[A-Za-z0-9_./:@%+,-]*)?", word):
        return word
    pieces = [piece for piece in re.split(r"(['\\!])", word) if piece]
    return "".join(f"\\{piece}" if piece in "'\\!" else f"'{piece}'" for piece in pieces) or "''"


# What ssh prints before it ends with FAILED, what that means, and what to do.  The first that fits counts;
# {host} is the destination as configured, {found} what the pattern's group found.
FAILED = 255
_NOT_FOUND = 127
_OF_SSH = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host key of {host} is not the one that is known",
        "if the server was set up anew: ssh-keygen -R NAME, then log in once by hand and compare the key; "
        "if not, somebody is in between",
    ),
    (
        r"Host key verification failed|No .* host key is known",
        "the host key of {host} is not known here",
        "log in once by hand, ssh {host}, and compare the key that it shows",
    ),
    (
        r"UNPROTECTED PRIVATE KEY|bad permissions",
        "the private key can be read by others, so ssh does not use it",
        "chmod 600 the key",
    ),
    (
        r"Too many authentication failures",
        "{host} refuses after too many keys",
        "name the right one: identity",
    ),
    (
        r"Permission denied \(([^)]*)\)",
        "{host} lets nobody in without a question (it takes: {found})",
        "put a key there, ssh-copy-id {host}; a key with a passphrase needs an agent that the service sees "
        "(systemctl --user import-environment SSH_AUTH_SOCK)",
    ),
    (
        r"Bad owner or permissions on (\S+)",
        "ssh refuses its configuration {found}",
        "it must belong to you or root, and be writable by nobody else",
    ),
    (
        r"Can't open user config file (\S+?):? ",
        "ssh cannot read its configuration {found}",
        "mend ssh_config in the account",
    ),
    (
        r"Bad configuration option|Unsupported option|[Bb]ad .*argument|terminating, \d+ bad",
        "ssh cannot read its configuration",
        "mend what it names: ssh -G {host}",
    ),
    (
        r"Temporary failure in name resolution",
        "no name can be looked up",
        "nothing, if this machine is offline",
    ),
    (
        r"Could not resolve hostname ([^:]*)",
        "{found} is not known by name",
        "mend ssh in the account, or HostName in ssh's configuration",
    ),
    (
        r"Network is unreachable|No route to host",
        "{host} cannot be reached from this network",
        "nothing, if this machine is offline or the server is away",
    ),
    (
        r"Connection refused",
        "{host} refuses the connection",
        "nothing, if the server is starting; else see that sshd runs there, and on this port",
    ),
    (
        r"timed out",
        "{host} does not answer",
        "nothing, if this machine is offline or the server is away",
    ),
    (
        r"kex_exchange_identification|banner exchange",
        "{host} closes the connection before the login",
        "nothing, if the server is starting; else see its log: it may have too many logins, or shut you out",
    ),
    (r"not responding", "the connection to {host} is dead", ""),
    (
        r"client_loop|Broken pipe|onnection to \S+ closed|Connection (?:reset|closed) by",
        "the connection to {host} was lost",
        "",
    ),
)
# The same for what a shell or python3 there prints.
_OF_HOST = (
    (
        r"(?i)python3.*(?:not found|no such file)|unknown command:? '?python3",
        "there is no python3 at {host}",
        "install it there, 3.6 or later",
    ),
    (r"(python3 [0-9.]+) " + TOO_OLD, "{found} of {host} is too old", "install 3.6 or later there"),
    (
        r"administratively prohibited|currently not available|This account",
        "the account at {host} may run no command",
        "give it a login shell",
    ),
)


def explain(ssh: Ssh, status: int, lines: Iterable[str]) -> str:
    """Say in one line why ssh ended, and what to do, by its exit status and its stderr; "" if unknown."""
    text = "\n".join(lines)
    for pattern, what, remedy in _OF_SSH if status == FAILED else _OF_HOST:
        if match := re.search(pattern, text):
            values = {"host": ssh.host, "found": match[1] if match.re.groups else ""}
            return ": ".join(part.format(**values) for part in (what, remedy) if part)
    if status == _NOT_FOUND:
        return f"a command is not there at {ssh.host}: install it there, or mend PATH"
    return ""
