/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which messages of a Maildir the program itself made or removed, told to $MSWATCH_ECHO_SOCKET, so that the
   service can know its own echo.

   A record is "made\0PATH\0" or "removed\0PATH\0"; a datagram holds one or more of them.  A rename is a
   removal and a making.  PATH is absolute, as the program named it (symbolic links are not resolved), and the
   directory it is in is called cur or new.  Records may be missing, never invented: a path that cannot be
   told for certain, as one with "..", is left out.

   Nobody asks before the run has ended, so that records are gathered and sent when there are many, or when the
   program ends: a datagram for each change would cost a synchroniser some per cent of its time.  When there is
   no room for more records (net.unix.max_dgram_qlen is 10 where systemd has not raised it) they are lost,
   which costs a second run. */

#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct listener service;
static atomic_bool is_on;
static atomic_flag is_taken = ATOMIC_FLAG_INIT; /* the records below; who finds them taken drops its own */
static char records[32768];
static size_t used;

bool echo_is_wanted(void)
{
    return atomic_load_explicit(&is_on, memory_order_relaxed);
}

/* Return the name in a path that ends in cur/NAME or new/NAME, or NULL; one that is relative may begin with these, or
   be NAME alone. */
static const char *message_name(const char *path)
{
    bool is_relative = path[0] != '/';
    const char *slash = strrchr(path, '/');
    size_t before = slash != NULL ? (size_t)(slash - path) : 0;

    if (slash == NULL)
        return path;
    if (before < 3 || slash[1] == '\0' || (before == 3 ? !is_relative : slash[-4] != '/'))
        return NULL;
    return memcmp(slash - 3, "cur", 3) == 0 || memcmp(slash - 3, "new", 3) == 0 ? slash + 1 : NULL;
}

/* Tell whether a path goes straight to its file: "." and ".." cannot be taken out of it without asking the
   kernel where links lead. */
static bool is_straight(const char *path, const char *name)
{
    for (const char *dot = path; (dot = memchr(dot, '.', (size_t)(name - dot))) != NULL; dot++) {
        const char *after = dot + (dot[1] == '.') + 1;
        if ((dot == path || dot[-1] == '/') && *after == '/')
            return false;
    }
    return true;
}

/* As sprintf(3) with %d, which may not be called in a signal handler. */
static void write_number(char *room, int number)
{
    int digits = 1;

    for (int rest = number; rest >= 10; rest /= 10)
        digits++;
    room[digits] = '\0';
    for (int rest = number; digits > 0; rest /= 10)
        room[--digits] = (char)('0' + rest % 10);
}

/* Write the path of a directory, the current one or an open one; return its length, 0 if it cannot be told. */
static size_t directory_path(int directory, char *room, size_t size)
{
    long length;

    if (directory == AT_FDCWD) {
        length = syscall(SYS_getcwd, room, size) - 1; /* without its NUL */
    } else if (directory < 0) {
        return 0;
    } else {
        char link[sizeof "/proc/self/fd/" + 3 * sizeof directory] = "/proc/self/fd/";
        write_number(link + strlen(link), directory);
        length = syscall(SYS_readlinkat, AT_FDCWD, link, room, size);
    }
    return length > 0 && (size_t)length < size && room[0] == '/' ? (size_t)length : 0;
}

/* Write the absolute path of what a call named; return its length, 0 if it cannot be told. */
static size_t absolute_path(int directory, const char *path, char *room, size_t size)
{
    size_t before = 0, length = strlen(path);

    if (path[0] != '/') {
        before = directory_path(directory, room, size);
        if (before == 0)
            return 0;
        if (before > 1)
            before++;
    }
    if (before + length >= size)
        return 0;
    if (before != 0)
        room[before - 1] = '/';
    memcpy(room + before, path, length + 1);
    return before + length;
}

/* Append a record if there is room and it is about a message for certain. */
static void append(const char *what, size_t word, int directory, const char *path, const char *name)
{
    size_t room = sizeof records - used;

    if (room <= word || !is_straight(path, name))
        return;
    size_t length = absolute_path(directory, path, records + used + word, room - word);
    if (length == 0 || (path[0] != '/' && message_name(records + used + word) == NULL))
        return;
    memcpy(records + used, what, word);
    used += word + length + 1;
}

static void send_records(void)
{
    if (used == 0)
        return;
    int error = send_datagram(&service, records, used);
    if (error == 0)
        used = 0;
    else if (error == ECONNREFUSED || error == ENOENT)
        atomic_store(&is_on, false);
}

/* Most names are in tmp, and not worth more than a look at their end. */
static void record(const char *what, size_t word, int directory, const char *path)
{
    const char *name = message_name(path);

    if (name == NULL)
        return;
    int saved_errno = errno;
    if (atomic_flag_test_and_set_explicit(&is_taken, memory_order_acquire))
        return;
    append(what, word, directory, path, name);
    if (used > sizeof records / 2)
        send_records();
    atomic_flag_clear_explicit(&is_taken, memory_order_release);
    errno = saved_errno;
}

void made(int directory, const char *path)
{
    static const char what[] = "made";

    if (echo_is_wanted())
        record(what, sizeof what, directory, path);
}

void removed(int directory, const char *path)
{
    static const char what[] = "removed";

    if (echo_is_wanted())
        record(what, sizeof what, directory, path);
}

/* The parent sends what it gathered; a child that sent it too would tell of changes that nobody made. */
static void forget(void)
{
    used = 0;
    atomic_flag_clear(&is_taken);
}

__attribute__((constructor)) static void start(void)
{
    find_listener(&service, "MSWATCH_ECHO_SOCKET");
    if (service.size != 0 && !program_is_quiet() && pthread_atfork(NULL, NULL, forget) == 0)
        atomic_store(&is_on, true);
}

__attribute__((destructor)) static void end(void)
{
    if (echo_is_wanted() && !atomic_flag_test_and_set(&is_taken))
        send_records();
}
