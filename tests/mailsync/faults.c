/* Loaded in front of the C library: makes one call on files of a kind fail, or kills the process before it.
 *
 * SQLite calls the C library itself, where no test in Python can stand in between.  Calls are counted from fault_begin()
 * on, of files that have a certain word in their path.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static const char *word;
static long at, count;
static int number, lasting;

/* From the call with this number on (or only that one): fail with this errno, or without one be killed. */
void fault_begin(const char *path_word, long call, int error, int for_good)
{
    word = path_word;
    at = call;
    count = 0;
    number = error;
    lasting = for_good;
}

long fault_count(void)
{
    return count;
}

static int fails_here(const char *path)
{
    if (word == NULL || path == NULL || strstr(path, word) == NULL)
        return 0;
    long now = count++;
    if (now != at && !(lasting && now > at))
        return 0;
    if (number == 0)
        kill(getpid(), SIGKILL);
    errno = number;
    return 1;
}

static int fails_on(int fd)
{
    char link[64], path[4096];
    if (word == NULL)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = '\0';
    return fails_here(path);
}

#define OPEN(name)                                                                  \
    int name(const char *path, int flags, ...)                                      \
    {                                                                               \
        va_list more;                                                               \
        va_start(more, flags);                                                      \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                   \
        va_end(more);                                                               \
        int (*real)(const char *, int, ...) =                                       \
            (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);               \
        return fails_here(path) ? -1 : real(path, flags, mode);                     \
    }

#define ON_FD(type, name, parameters, arguments)                                    \
    type name parameters                                                            \
    {                                                                               \
        type(*real) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name);       \
        return fails_on(fd) ? -1 : real arguments;                                  \
    }

OPEN(open)
OPEN(open64)
ON_FD(ssize_t, pread64, (int fd, void *data, size_t size, off64_t place), (fd, data, size, place))
ON_FD(ssize_t, pread, (int fd, void *data, size_t size, off_t place), (fd, data, size, place))
ON_FD(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t place), (fd, data, size, place))
ON_FD(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t place), (fd, data, size, place))
ON_FD(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD(int, ftruncate64, (int fd, off64_t size), (fd, size))
ON_FD(int, ftruncate, (int fd, off_t size), (fd, size))
ON_FD(int, fsync, (int fd), (fd))
ON_FD(int, fdatasync, (int fd), (fd))

int unlink(const char *path)
{
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    return fails_here(path) ? -1 : real(path);
}
