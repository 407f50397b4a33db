/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Sending a datagram to a socket that an environment variable names.

   A socket is made for each datagram and closed after it.  One that stayed open would be closed by programs
   that close what they do not know, be found by those that count descriptors, and be somebody else's file
   when its number was taken again. */

#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Copy the address: the program may change its environment.  "@name" is an abstract socket (sd_notify(3)). */
void find_listener(struct listener *listener, const char *variable)
{
    const char *path = getenv(variable);
    size_t length = path != NULL ? strlen(path) : 0;
    bool is_abstract = length > 1 && path[0] == '@';

    if (length < 2 || length >= sizeof listener->address.sun_path || (path[0] != '/' && !is_abstract))
        return;
    listener->address.sun_family = AF_UNIX;
    memcpy(listener->address.sun_path, path, length);
    if (is_abstract)
        listener->address.sun_path[0] = '\0';
    listener->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (is_abstract ? 0 : 1));
}

/* Send, and return 0 or an error number; EAGAIN when the listener does not keep up. */
int send_datagram(const struct listener *listener, const void *data, size_t size)
{
    long fd = syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int error = 0;

    if (fd < 0)
        return errno;
    if (syscall(SYS_sendto, fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, &listener->address, listener->size) < 0)
        error = errno;
    syscall(SYS_close, fd);
    return error;
}

/* Tell whether this program's bytes are no progress: they keep a connection alive, or serve somebody else. */
bool program_is_quiet(void)
{
    static const char *const quiet[] = {
        "ssh",   "sshd",      "sshd-session", "sshd-auth",   "ssh-agent", "autossh",
        "plink", "dbclient",  "dropbear",     "mosh-client", "gpg-agent", "dbus-daemon",
    };

    for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++)
        if (strcmp(program_invocation_short_name, quiet[i]) == 0)
            return true;
    return false;
}
