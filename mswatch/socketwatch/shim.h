/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The shim: a library that LD_PRELOAD puts into a synchroniser, and that tells a manager of its progress.

   bytes.c and store.c stand before the calls of libc that move bytes and that change a mail store; what they
   saw succeed they tell to progress.c, which reports it to $NOTIFY_SOCKET, and to echo.c, which reports names
   of messages to $MSWATCH_ECHO_SOCKET.

   The rules that hold everywhere: the program behind must not notice us.  The result of a call and errno are
   what libc made them; nothing blocks, allocates, locks or stays open; everything may run in a signal
   handler, in any thread, after fork; and what cannot be told is left out, because the worst that a missing
   report costs is an early end of a run, after which it is tried again.

   System calls of our own go through syscall(2): the functions of libc are points where a thread may be
   cancelled, and what the program has just read would be lost with it. */

#ifndef MSWATCH_SHIM_H
#define MSWATCH_SHIM_H

/* The types of the plain names (off_t in truncate) are wanted, whatever the distribution builds with. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define QUIETLY __attribute__((visibility("hidden")))

/* Say what a descriptor moved, or that the mail store changed; progress.c. */
QUIETLY void progress_on(int fd);
QUIETLY void progress(void);

/* Say that a name appeared in the file system, or vanished; echo.c. */
QUIETLY void made(int directory, const char *path);
QUIETLY void removed(int directory, const char *path);
QUIETLY bool echo_is_wanted(void);

/* Where datagrams go; datagram.c. */
struct listener {
    struct sockaddr_un address;
    socklen_t size; /* 0: there is none */
};

QUIETLY void find_listener(struct listener *listener, const char *variable);
QUIETLY int send_datagram(const struct listener *listener, const void *data, size_t size);
QUIETLY bool program_is_quiet(void);

/* Look up the call of libc that ours stands before; calls.c. */
QUIETLY bool find_call(void **call, const char *name);

/* REPLACE(type, name, (parameters)) { body } defines our version of a call; `real_NAME` is libc's.
   The C names differ from the exported ones, so that no macro or inline function of a header (_FORTIFY_SOURCE,
   _FILE_OFFSET_BITS) gets in the way.  All calls are looked up when the shim is loaded, because dlsym(3) may
   not be called in a signal handler; only a call made by the constructor of another library is looked up late. */
#define REPLACE(type, name, parameters)                                                                          \
    static type(*real_##name) parameters;                                                                        \
    __attribute__((constructor)) static void look_up_##name(void) { (void)FOUND(name); }                         \
    __attribute__((visibility("default"))) type our_##name parameters __asm__(#name);                            \
    type our_##name parameters

#define FOUND(name) (real_##name || find_call((void **)&real_##name, #name))

#endif
