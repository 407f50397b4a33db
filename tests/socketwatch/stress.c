/* SPDX-License-Identifier: GPL-2.0-or-later */

/* stress THREADS ROUNDS CHILDREN: input, output and files in many threads at once, with forks and signals among them;
   then print what all calls returned and what errno was after them, as one number.  It must be the same with the
   shim and without.  Runs in an empty directory of its own. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNTOUCHED 4242 /* errno before each call */

static int rounds;
static int handler_pipe[2];
static volatile sig_atomic_t bad_in_handler;

/* Add a result and errno to a sum that depends on their order. */
static void note(unsigned long *sum, long result)
{
    *sum = *sum * 31 + (unsigned long)result * 7 + (unsigned long)errno;
    errno = UNTOUCHED;
}

static void handle(int number)
{
    int saved_errno = errno;
    char byte = (char)number;

    errno = UNTOUCHED;
    if (write(handler_pipe[1], &byte, 1) != 1 || read(handler_pipe[0], &byte, 1) != 1 || errno != UNTOUCHED)
        bad_in_handler = 1;
    if (unlink("cur/missing") != -1 || errno != ENOENT)
        bad_in_handler = 1;
    errno = saved_errno;
}

static void one_round(unsigned long *sum, int pair[2], const char *name)
{
    char data[64] = "", cur[100], new[100];
    int fd;

    snprintf(cur, sizeof cur, "cur/%s", name);
    snprintf(new, sizeof new, "new/%s", name);
    note(sum, write(pair[0], data, sizeof data));
    note(sum, recv(pair[1], data, 10, 0));
    note(sum, read(pair[1], data, sizeof data));
    note(sum, recv(pair[1], data, 1, MSG_DONTWAIT));
    fd = open(new, O_CREAT | O_EXCL | O_WRONLY, 0600);
    note(sum, fd < 0);
    note(sum, write(fd, data, 5));
    note(sum, close(fd));
    note(sum, rename(new, cur));
    note(sum, rename(new, cur));
    note(sum, link(cur, new));
    note(sum, unlinkat(AT_FDCWD, cur, 0));
    note(sum, unlink(new));
    note(sum, read(-1, data, 1));
    note(sum, fsync(-1));
    note(sum, open("missing/name", O_CREAT | O_WRONLY, 0600));
}

static void work(unsigned long *sum, const char *name)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        abort();
    errno = UNTOUCHED;
    for (int i = 0; i < rounds; i++)
        one_round(sum, pair, name);
    close(pair[0]);
    close(pair[1]);
}

static unsigned long sums[64];

static void *thread(void *argument)
{
    unsigned long *sum = argument;
    char name[30];

    snprintf(name, sizeof name, "thread%ld", (long)(sum - sums));
    work(sum, name);
    return NULL;
}

/* A child's sum comes out of it through a pipe. */
static unsigned long of_child(int number)
{
    unsigned long sum = 0;
    char name[30];
    int ends[2];

    if (pipe(ends) != 0)
        abort();
    if (fork() == 0) {
        snprintf(name, sizeof name, "child%d", number);
        work(&sum, name);
        _exit(write(ends[1], &sum, sizeof sum) == sizeof sum ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], &sum, sizeof sum) != sizeof sum)
        abort();
    close(ends[0]);
    wait(NULL);
    return sum;
}

static void *reads_for_ever(void *pipe_end)
{
    char byte;

    for (;;)
        if (read(*(int *)pipe_end, &byte, 1) < 0)
            abort();
    return NULL;
}

/* Tell whether a thread that waits in read can be cancelled. */
static int can_be_cancelled(void)
{
    pthread_t reader;
    int ends[2];
    void *result;

    if (pipe(ends) != 0 || write(ends[1], "xyz", 3) != 3 || pthread_create(&reader, NULL, reads_for_ever, &ends[0]))
        abort();
    pthread_cancel(reader);
    pthread_join(reader, &result);
    close(ends[0]);
    close(ends[1]);
    return result == PTHREAD_CANCELED;
}

static int open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    unsigned long total = 0;
    pthread_t threads[64];
    int count = argc == 4 ? atoi(argv[1]) : 0, before = open_descriptors();

    if (count < 1 || count > 64)
        return 64;
    rounds = atoi(argv[2]);
    if (mkdir("cur", 0700) != 0 || mkdir("new", 0700) != 0 || pipe(handler_pipe) != 0)
        return 2;
    sigaction(SIGPROF, &action, NULL);
    /* By the time that it was given, or fork(2), which begins anew after a signal, would not end on a busy machine. */
    setitimer(ITIMER_PROF, &often, NULL);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, thread, &sums[i]) != 0)
            return 2;
    for (int i = 0; i < atoi(argv[3]); i++)
        total += of_child(i);
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        total += sums[i];
    }
    int cancelled = can_be_cancelled();
    setitimer(ITIMER_PROF, &never, NULL);
    close(handler_pipe[0]);
    close(handler_pipe[1]);
    printf("sum %lx, handler %s, cancelled %d, descriptors %+d\n", total, bad_in_handler ? "disturbed" : "undisturbed",
           cancelled, open_descriptors() - before);
    return 0;
}
