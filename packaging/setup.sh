# shellcheck shell=sh
# What packaging/try and tests/run share: system packages and the checkout's own .venv.  Sourced, not run.
#
# The rules: nothing is written outside .venv except packages that a person would install by hand; each long step is
# told in one line with its time; a second call finds everything in place and says nothing; when it cannot go on it
# says in one line what is missing.  Before it is sourced, `program` is set to the name to speak under and the
# current directory is the checkout; the script calls end_setup when it ends, however it ends.

python=/usr/bin/python3 # never another one from PATH: the system's modules belong to the system's interpreter
PATH=$PATH:/usr/sbin:/sbin
: "${program:?}"
setup_log=$(mktemp "${TMPDIR:-/tmp}/mswatch-setup.XXXXXX")

die() {
    printf '%s: %s\n' "$program" "$1" >&2
    exit 1
}

# step TEXT REMEDY COMMAND...: run a long command out of sight and tell how long it took, or why it failed.
step() {
    step_text=$1 step_remedy=$2
    shift 2
    printf '%s… ' "$step_text"
    step_began=$(date +%s)
    if "$@" </dev/null >"$setup_log" 2>&1; then
        printf '%d s\n' "$(($(date +%s) - step_began))"
    else
        printf 'failed\n'
        tail -n 8 "$setup_log" | cut -c 1-150 | sed 's/^/    /' >&2
        die "see the lines above; $step_remedy"
    fi
}

# has PACKAGE: tell whether what a Debian package is wanted for is here, whoever installed it.
has() {
    case $1 in
    python3) test -x $python ;;
    python3-venv) $python -c 'import ensurepip, venv' 2>/dev/null ;;
    python3-systemd) $python -c 'import systemd.journal' 2>/dev/null ;;
    python3-sdnotify) $python -c 'import sdnotify' 2>/dev/null ;;
    isync) command -v mbsync >/dev/null ;;
    dovecot-imapd) command -v dovecot >/dev/null && { test -x /usr/lib/dovecot/imap || test -x /usr/libexec/dovecot/imap; } ;;
    offlineimap3) command -v offlineimap >/dev/null ;;
    gamin) test -x /usr/lib/gamin/gam_server || test -x /usr/libexec/gam_server ;;
    inotify-tools) command -v inotifywait >/dev/null ;;
    procps) command -v ps >/dev/null ;;
    openssh-client) command -v ssh >/dev/null ;;
    openssh-server) test -x /usr/sbin/sshd ;;
    libnss-wrapper) test -n "$(find /usr/lib -maxdepth 2 -name 'libnss_wrapper.so*' 2>/dev/null)" ;;
    musl-tools) command -v musl-gcc >/dev/null ;;
    libc6-dev) test -e /usr/include/stdio.h ;;
    util-linux) command -v setpriv >/dev/null ;;
    systemd-container) command -v systemd-nspawn >/dev/null ;;
    iproute2) command -v ip >/dev/null ;;
    man-db) command -v man >/dev/null ;;
    python3-pip) $python -c 'import pip' 2>/dev/null ;;
    build-essential | debhelper | dh-python | python3-all | pybuild-plugin-pyproject | python3-setuptools | libc6-dbg)
        # A package is built against packages; nothing else will do.  (valgrind wants libc's own debugging symbols.)
        test "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed
        ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# need_packages PACKAGE...: install those that are missing, in one apt-get call; none is made when all are here.
need_packages() {
    missing=
    for package in "$@"; do
        has "$package" || missing="$missing $package"
    done
    missing=${missing# }
    test -n "$missing" || return 0
    by_hand="or install by hand and start again: apt-get install $missing"
    command -v apt-get >/dev/null || die "no apt-get here; install what Debian calls: $missing"
    become_root "$missing"
    step "reading the package lists" "$by_hand" update_lists
    without_starting_dovecot
    # shellcheck disable=SC2086  # a list of words
    step "installing system packages ($(echo "$missing" | sed 's/ /, /g'))" "is there a network? $by_hand" \
        $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends $missing
    nor_at_boot
}

# update_lists: apt-get's update, which unlike its install does not wait until another apt-get, started by a timer or by a
# person, is done.
update_lists() {
    tries=24
    until $as_root env LC_ALL=C apt-get update; do
        tries=$((tries - 1))
        test $tries != 0 || return 1
        tail -n 3 "$setup_log" | grep -q 'Could not get lock' || return 1
        sleep 5
    done
}

# become_root PACKAGES: find how to call apt-get, asking for a password now rather than behind a progress line.
become_root() {
    as_root=
    test "$(id -u)" != 0 || return 0
    as_root=sudo
    command -v sudo >/dev/null || die "neither root nor sudo; as root: apt-get install $1"
    sudo true || die "sudo was refused; as root: apt-get install $1"
}

# Debian starts a server when it is installed, and again at each boot.  The tests want Dovecot's programs and no server
# on port 143; but a Dovecot that was here before us stays as it is.  The policy concerns Dovecot alone and only while
# this process lives, so that one left behind by a kill is harmless.
policy=/usr/sbin/policy-rc.d
our_policy=
new_dovecot=
without_starting_dovecot() {
    case $missing in *dovecot*) ;; *) return 0 ;; esac
    ! command -v dovecot >/dev/null || return 0
    new_dovecot=yes
    test ! -e $policy || return 0
    our_policy=yes
    # shellcheck disable=SC2016  # $1 is the policy's own
    printf '#!/bin/sh\ncase $1 in dovecot*) test ! -d /proc/%d || exit 101 ;; esac\n' $$ |
        $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
}

nor_at_boot() {
    test -z "$new_dovecot" || $as_root update-rc.d dovecot disable >>"$setup_log" 2>&1
    remove_policy
}

remove_policy() {
    test -z "$our_policy" || $as_root rm -f $policy
    our_policy=
}

# need_venv [EXTRA]...: make .venv and put into it what pyproject.toml asks for, with these extras.
need_venv() {
    if ! .venv/bin/python -c 'import pip, sdnotify, systemd.journal' 2>/dev/null; then
        step "making .venv" "remove .venv and start again" \
            $python -m venv --clear --system-site-packages .venv
    fi
    if ! .venv/bin/python packaging/fill_venv.py --check "$@"; then
        step "installing Python packages into .venv" "is there a network?" \
            .venv/bin/python packaging/fill_venv.py "$@"
    fi
}

end_setup() {
    rm -f "$setup_log"
    remove_policy
}
