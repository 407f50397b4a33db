/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What counts as progress, and telling it: WATCHDOG=1 to $NOTIFY_SOCKET (sd_notify(3)), once when the program
   is loaded and then at most once a second.

   What a descriptor is, the kernel is asked when bytes moved on it, and only when a report is due.  Nothing
   follows descriptors from their creation: so it does not matter whether one came from socket, accept, dup,
   fcntl, a message, the program before exec, or a system call that we do not see, and there is nothing to be
   forgotten at close, after fork or among threads.  The price is one fstat(2) for each call on something that
   does not count, while no report was made for a second; a call that follows within ten milliseconds on the
   same descriptor is spared it.

   What counts:
   - internet sockets of any kind;
   - pipes and stream sockets of the Unix domain, which a tunnel is made of.  Not if it is what was standard
     output or error when the program was loaded (or has the number of one now): that is where a program that
     turns in circles prints its complaints, and under systemd it is such a socket;
   - every change of a mail store (store.c).
   Not files, terminals, datagrams of the Unix domain (a log), netlink, event and timer descriptors. */

#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SILENCE_MS 1000 /* between two reports; mswatch/socketwatch/idle.py knows this number too */
#define SAME_ANSWER_MS 10

static const char report[] = "WATCHDOG=1";
static struct listener manager;
static atomic_bool is_on;
static atomic_uint told_ms;           /* when we told last */
static atomic_uint asked_ms;          /* when the kernel last called ... */
static atomic_int asked_fd = -1;      /* ... this descriptor one that does not count */
static struct stat outputs[2];        /* what standard output and error were; st_mode 0: nothing of interest */

/* Milliseconds; wraps around after 49 days, which differences do not mind.  The coarse clock costs no system
   call on any machine. */
static unsigned now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (unsigned)now.tv_sec * 1000U + (unsigned)(now.tv_nsec / 1000000);
}

static bool is_local_channel(const struct stat *status)
{
    return S_ISFIFO(status->st_mode) || S_ISSOCK(status->st_mode);
}

static void note_output(int fd)
{
    struct stat status;

    if (fstat(fd, &status) == 0 && is_local_channel(&status))
        outputs[fd - STDOUT_FILENO] = status;
}

static bool is_output(int fd, const struct stat *status)
{
    if (fd == STDOUT_FILENO || fd == STDERR_FILENO)
        return true;
    for (int i = 0; i < 2; i++)
        if (outputs[i].st_mode != 0 && outputs[i].st_dev == status->st_dev && outputs[i].st_ino == status->st_ino)
            return true;
    return false;
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

static bool counts(int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0 || !is_local_channel(&status))
        return false;
    if (S_ISFIFO(status.st_mode))
        return !is_output(fd, &status);
    int domain = socket_option(fd, SO_DOMAIN);
    if (domain == AF_UNIX)
        return socket_option(fd, SO_TYPE) == SOCK_STREAM && !is_output(fd, &status);
    return domain == AF_INET || domain == AF_INET6;
}

/* Tell the manager, unless another thread does.  Whoever comes first takes the second, whatever the answer: a
   manager that does not keep up has reports enough, and one that is gone is not asked again. */
static void tell(unsigned last, unsigned now)
{
    if (!atomic_compare_exchange_strong(&told_ms, &last, now))
        return;
    int error = send_datagram(&manager, report, sizeof report - 1);
    if (error == ECONNREFUSED || error == ENOENT)
        atomic_store(&is_on, false);
}

static bool was_asked(int fd, unsigned now)
{
    return atomic_load_explicit(&asked_fd, memory_order_relaxed) == fd &&
           now - atomic_load_explicit(&asked_ms, memory_order_relaxed) < SAME_ANSWER_MS;
}

static void note_answer(int fd, unsigned now)
{
    atomic_store_explicit(&asked_fd, fd, memory_order_relaxed);
    atomic_store_explicit(&asked_ms, now, memory_order_relaxed);
}

void progress_on(int fd)
{
    if (!atomic_load_explicit(&is_on, memory_order_relaxed))
        return;
    unsigned now = now_ms(), last = atomic_load_explicit(&told_ms, memory_order_relaxed);
    if (now - last < SILENCE_MS || was_asked(fd, now))
        return;
    int saved_errno = errno;
    if (counts(fd))
        tell(last, now);
    else
        note_answer(fd, now);
    errno = saved_errno;
}

void progress(void)
{
    if (!atomic_load_explicit(&is_on, memory_order_relaxed))
        return;
    unsigned now = now_ms(), last = atomic_load_explicit(&told_ms, memory_order_relaxed);
    if (now - last < SILENCE_MS)
        return;
    int saved_errno = errno;
    tell(last, now);
    errno = saved_errno;
}

/* The first report arms the manager's clock: a program that never moves a byte is found too. */
__attribute__((constructor)) static void start(void)
{
    int saved_errno = errno;

    find_listener(&manager, "NOTIFY_SOCKET");
    if (manager.size != 0 && !program_is_quiet()) {
        note_output(STDOUT_FILENO);
        note_output(STDERR_FILENO);
        atomic_store(&is_on, true);
        tell(atomic_load(&told_ms), now_ms());
    }
    errno = saved_errno;
}
