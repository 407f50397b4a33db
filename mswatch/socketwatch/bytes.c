/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The calls of libc that move bytes on a descriptor or a stream.  Which calls there are, and why others are not
   among them: calls.txt.  The names that begin with underscores are what _FORTIFY_SOURCE and old headers make
   programs call. */

#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <stdio.h>
#include <sys/uio.h>

/* A call that returns how much it moved; `fd` and `other` are the descriptors. */
#define MOVES_BETWEEN(type, name, fd, other, parameters, arguments)                                              \
    REPLACE(type, name, parameters)                                                                              \
    {                                                                                                            \
        if (!FOUND(name))                                                                                        \
            return -1;                                                                                           \
        type moved = real_##name arguments;                                                                      \
        if (moved > 0) {                                                                                         \
            progress_on(fd);                                                                                     \
            if ((other) != (fd))                                                                                 \
                progress_on(other);                                                                              \
        }                                                                                                        \
        return moved;                                                                                            \
    }
#define MOVES(type, name, parameters, arguments) MOVES_BETWEEN(type, name, fd, fd, parameters, arguments)

MOVES(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
MOVES(ssize_t, __read, (int fd, void *data, size_t size), (fd, data, size))
MOVES(ssize_t, __read_chk, (int fd, void *data, size_t size, size_t room), (fd, data, size, room))
MOVES(ssize_t, readv, (int fd, const struct iovec *parts, int count), (fd, parts, count))
MOVES(ssize_t, preadv2, (int fd, const struct iovec *parts, int count, off_t at, int flags),
      (fd, parts, count, at, flags))
MOVES(ssize_t, preadv64v2, (int fd, const struct iovec *parts, int count, int64_t at, int flags),
      (fd, parts, count, at, flags))

MOVES(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
MOVES(ssize_t, __write, (int fd, const void *data, size_t size), (fd, data, size))
MOVES(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
MOVES(ssize_t, pwritev2, (int fd, const struct iovec *parts, int count, off_t at, int flags),
      (fd, parts, count, at, flags))
MOVES(ssize_t, pwritev64v2, (int fd, const struct iovec *parts, int count, int64_t at, int flags),
      (fd, parts, count, at, flags))

MOVES(ssize_t, recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
MOVES(ssize_t, __recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
MOVES(ssize_t, __recv_chk, (int fd, void *data, size_t size, size_t room, int flags),
      (fd, data, size, room, flags))
MOVES(ssize_t, recvfrom, (int fd, void *data, size_t size, int flags, struct sockaddr *peer, socklen_t *peer_size),
      (fd, data, size, flags, peer, peer_size))
MOVES(ssize_t, __recvfrom_chk,
      (int fd, void *data, size_t size, size_t room, int flags, struct sockaddr *peer, socklen_t *peer_size),
      (fd, data, size, room, flags, peer, peer_size))
MOVES(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
MOVES(int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),
      (fd, messages, count, flags, timeout))

MOVES(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
MOVES(ssize_t, __send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
MOVES(ssize_t, sendto,
      (int fd, const void *data, size_t size, int flags, const struct sockaddr *peer, socklen_t peer_size),
      (fd, data, size, flags, peer, peer_size))
MOVES(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
MOVES(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags), (fd, messages, count, flags))
MOVES(int, __sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags), (fd, messages, count, flags))

#if UINTPTR_MAX == UINT32_MAX /* what programs call that were built for 64-bit times */
MOVES(ssize_t, __recvmsg64, (int fd, struct msghdr *message, int flags), (fd, message, flags))
MOVES(int, __recvmmsg64, (int fd, struct mmsghdr *messages, unsigned count, int flags, void *timeout),
      (fd, messages, count, flags, timeout))
MOVES(ssize_t, __sendmsg64, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
MOVES(int, __sendmmsg64, (int fd, struct mmsghdr *messages, unsigned count, int flags), (fd, messages, count, flags))
#endif

MOVES_BETWEEN(ssize_t, sendfile, to, from, (int to, int from, off_t *at, size_t size), (to, from, at, size))
MOVES_BETWEEN(ssize_t, sendfile64, to, from, (int to, int from, int64_t *at, size_t size), (to, from, at, size))
MOVES_BETWEEN(ssize_t, splice, to, from,
              (int from, int64_t *from_at, int to, int64_t *to_at, size_t size, unsigned flags),
              (from, from_at, to, to_at, size, flags))
MOVES_BETWEEN(ssize_t, tee, to, from, (int from, int to, size_t size, unsigned flags), (from, to, size, flags))
MOVES(ssize_t, vmsplice, (int fd, const struct iovec *parts, size_t count, unsigned flags),
      (fd, parts, count, flags))

/* Streams: libc reads and writes for them without calling what others can replace. */
static void progress_on_stream(FILE *stream)
{
    int saved_errno = errno; /* fileno(3) fails for a stream in memory */

    progress_on(fileno(stream));
    errno = saved_errno;
}

/* A call on a stream that returns `none` where nothing was moved. */
#define STREAMS(type, name, none, parameters, arguments)                                                         \
    REPLACE(type, name, parameters)                                                                              \
    {                                                                                                            \
        if (!FOUND(name))                                                                                        \
            return none;                                                                                         \
        type moved = real_##name arguments;                                                                      \
        if (moved != (none))                                                                                     \
            progress_on_stream(stream);                                                                          \
        return moved;                                                                                            \
    }

STREAMS(size_t, fread, 0, (void *data, size_t size, size_t count, FILE *stream), (data, size, count, stream))
STREAMS(size_t, fread_unlocked, 0, (void *data, size_t size, size_t count, FILE *stream),
        (data, size, count, stream))
STREAMS(size_t, __fread_chk, 0, (void *data, size_t room, size_t size, size_t count, FILE *stream),
        (data, room, size, count, stream))
STREAMS(size_t, __fread_unlocked_chk, 0, (void *data, size_t room, size_t size, size_t count, FILE *stream),
        (data, room, size, count, stream))
STREAMS(char *, fgets, NULL, (char *line, int size, FILE *stream), (line, size, stream))
STREAMS(char *, fgets_unlocked, NULL, (char *line, int size, FILE *stream), (line, size, stream))
STREAMS(char *, __fgets_chk, NULL, (char *line, size_t room, int size, FILE *stream), (line, room, size, stream))
STREAMS(char *, __fgets_unlocked_chk, NULL, (char *line, size_t room, int size, FILE *stream),
        (line, room, size, stream))
STREAMS(ssize_t, getline, -1, (char **line, size_t *size, FILE *stream), (line, size, stream))
STREAMS(ssize_t, getdelim, -1, (char **line, size_t *size, int end, FILE *stream), (line, size, end, stream))
STREAMS(ssize_t, __getdelim, -1, (char **line, size_t *size, int end, FILE *stream), (line, size, end, stream))
STREAMS(size_t, fwrite, 0, (const void *data, size_t size, size_t count, FILE *stream), (data, size, count, stream))
STREAMS(size_t, fwrite_unlocked, 0, (const void *data, size_t size, size_t count, FILE *stream),
        (data, size, count, stream))
STREAMS(int, fputs, EOF, (const char *text, FILE *stream), (text, stream))
STREAMS(int, fputs_unlocked, EOF, (const char *text, FILE *stream), (text, stream))
