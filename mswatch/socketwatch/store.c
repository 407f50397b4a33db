/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The calls of libc that change a mail store: names that appear, move or vanish, and what makes files durable.
   Each is progress when it succeeds, wherever it was: a synchroniser's own state is as good as a mailbox. */

#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2 /* renameat2(2); musl, and glibc before 2.28, lack it */
#endif
/* Macros for the plain names in musl before 1.2.4, where programs may nevertheless call these. */
#undef open64
#undef openat64
#undef creat64
#undef fopen64

/* A call that returns 0 when the store changed; `echo` tells the names. */
#define CHANGES(name, parameters, arguments, echo)                                                               \
    REPLACE(int, name, parameters)                                                                               \
    {                                                                                                            \
        if (!FOUND(name))                                                                                        \
            return -1;                                                                                           \
        int failed = real_##name arguments;                                                                      \
        if (failed == 0) {                                                                                       \
            echo;                                                                                                \
            progress();                                                                                          \
        }                                                                                                        \
        return failed;                                                                                           \
    }
#define NO_NAMES (void)0

static void renamed(int from_directory, const char *from, int to_directory, const char *to, unsigned flags)
{
    removed(from_directory, from);
    made(to_directory, to);
    if (flags & RENAME_EXCHANGE) {
        removed(to_directory, to);
        made(from_directory, from);
    }
}

CHANGES(rename, (const char *from, const char *to), (from, to), renamed(AT_FDCWD, from, AT_FDCWD, to, 0))
CHANGES(renameat, (int from_directory, const char *from, int to_directory, const char *to),
        (from_directory, from, to_directory, to), renamed(from_directory, from, to_directory, to, 0))
CHANGES(renameat2, (int from_directory, const char *from, int to_directory, const char *to, unsigned flags),
        (from_directory, from, to_directory, to, flags), renamed(from_directory, from, to_directory, to, flags))
CHANGES(link, (const char *from, const char *to), (from, to), made(AT_FDCWD, to))
CHANGES(linkat, (int from_directory, const char *from, int to_directory, const char *to, int flags),
        (from_directory, from, to_directory, to, flags), made(to_directory, to))
CHANGES(unlink, (const char *path), (path), removed(AT_FDCWD, path))
CHANGES(unlinkat, (int directory, const char *path, int flags), (directory, path, flags), removed(directory, path))
CHANGES(remove, (const char *path), (path), removed(AT_FDCWD, path))

CHANGES(mkdir, (const char *path, mode_t mode), (path, mode), NO_NAMES)
CHANGES(mkdirat, (int directory, const char *path, mode_t mode), (directory, path, mode), NO_NAMES)
CHANGES(rmdir, (const char *path), (path), NO_NAMES)

CHANGES(truncate, (const char *path, off_t size), (path, size), NO_NAMES)
CHANGES(truncate64, (const char *path, int64_t size), (path, size), NO_NAMES)
CHANGES(ftruncate, (int fd, off_t size), (fd, size), NO_NAMES)
CHANGES(ftruncate64, (int fd, int64_t size), (fd, size), NO_NAMES)

CHANGES(fsync, (int fd), (fd), NO_NAMES)
CHANGES(fdatasync, (int fd), (fd), NO_NAMES)
CHANGES(syncfs, (int fd), (fd), NO_NAMES)
CHANGES(sync_file_range, (int fd, int64_t from, int64_t size, unsigned flags), (fd, from, size, flags), NO_NAMES)

/* Tell whether an open that may create did.  Without O_EXCL nobody can say; an empty file is as good as new, and
   the file that a program opens again and again to look for a lock or to log is seldom that. */
static bool is_new(int fd, int flags)
{
    struct stat status;

    return flags & O_EXCL || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0);
}

static void opened(int fd, int directory, const char *path, int flags)
{
    int saved_errno = errno;

    if (fd >= 0 && flags & O_CREAT && is_new(fd, flags)) {
        made(directory, path);
        progress();
    }
    errno = saved_errno;
}

/* The mode is there only when a file may be made; see open(2). */
static mode_t mode_of(int flags, va_list *rest)
{
    bool has_mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;

    return has_mode ? va_arg(*rest, mode_t) : 0;
}

#define OPENS(name, directory, parameters, arguments)                                                            \
    REPLACE(int, name, parameters)                                                                               \
    {                                                                                                            \
        va_list rest;                                                                                            \
        va_start(rest, flags);                                                                                   \
        mode_t mode = mode_of(flags, &rest);                                                                     \
        va_end(rest);                                                                                            \
        if (!FOUND(name))                                                                                        \
            return -1;                                                                                           \
        int fd = real_##name arguments;                                                                          \
        opened(fd, directory, path, flags);                                                                      \
        return fd;                                                                                               \
    }

OPENS(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENS(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENS(__open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENS(__open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENS(openat, directory, (int directory, const char *path, int flags, ...), (directory, path, flags, mode))
OPENS(openat64, directory, (int directory, const char *path, int flags, ...), (directory, path, flags, mode))

/* A call that returns a new descriptor; `flags` are those of open(2) that it stands for. */
#define CREATES(name, path, flags, parameters, arguments)                                                        \
    REPLACE(int, name, parameters)                                                                               \
    {                                                                                                            \
        if (!FOUND(name))                                                                                        \
            return -1;                                                                                           \
        int fd = real_##name arguments;                                                                          \
        opened(fd, AT_FDCWD, path, flags);                                                                       \
        return fd;                                                                                               \
    }
#define NEW_FILE (O_CREAT | O_EXCL)

CREATES(creat, path, O_CREAT, (const char *path, mode_t mode), (path, mode))
CREATES(creat64, path, O_CREAT, (const char *path, mode_t mode), (path, mode))
CREATES(mkstemp, path, NEW_FILE, (char *path), (path))
CREATES(mkstemp64, path, NEW_FILE, (char *path), (path))
CREATES(mkostemp, path, NEW_FILE, (char *path, int options), (path, options))
CREATES(mkostemp64, path, NEW_FILE, (char *path, int options), (path, options))
CREATES(mkstemps, path, NEW_FILE, (char *path, int suffix), (path, suffix))
CREATES(mkstemps64, path, NEW_FILE, (char *path, int suffix), (path, suffix))
CREATES(mkostemps, path, NEW_FILE, (char *path, int suffix, int options), (path, suffix, options))
CREATES(mkostemps64, path, NEW_FILE, (char *path, int suffix, int options), (path, suffix, options))

static void stream_opened(FILE *stream, const char *path, const char *mode)
{
    if (stream != NULL && mode[0] != 'r')
        opened(fileno(stream), AT_FDCWD, path, O_CREAT);
}

#define OPENS_STREAM(name)                                                                                       \
    REPLACE(FILE *, name, (const char *path, const char *mode))                                                  \
    {                                                                                                            \
        if (!FOUND(name))                                                                                        \
            return NULL;                                                                                         \
        FILE *stream = real_##name(path, mode);                                                                  \
        stream_opened(stream, path, mode);                                                                       \
        return stream;                                                                                           \
    }

OPENS_STREAM(fopen)
OPENS_STREAM(fopen64)
