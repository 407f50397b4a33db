/* SPDX-License-Identifier: GPL-2.0-or-later */

/* calls NAME: wait until a report is due, then make the one call that is called NAME.  calls --list names them all.
   A name with a blank in it stands for something that is no progress.  Runs in an empty directory of its own. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define DUE_MS 1050

/* What _FORTIFY_SOURCE makes programs call, and old names; no header declares them for us. */
extern ssize_t __read(int, void *, size_t), __write(int, const void *, size_t), __recv(int, void *, size_t, int);
extern ssize_t __send(int, const void *, size_t, int), __read_chk(int, void *, size_t, size_t);
extern ssize_t __recv_chk(int, void *, size_t, size_t, int);
extern ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
extern int __sendmmsg(int, struct mmsghdr *, unsigned, int), __open(const char *, int, ...), __open64(const char *, int, ...);
#if UINTPTR_MAX == UINT32_MAX
extern ssize_t __recvmsg64(int, struct msghdr *, int), __sendmsg64(int, const struct msghdr *, int);
extern int __recvmmsg64(int, struct mmsghdr *, unsigned, int, void *), __sendmmsg64(int, struct mmsghdr *, unsigned, int);
#define CALLS_OF_32_BITS                                                                                           \
    CALL(__recvmsg64, __recvmsg64(in, &message, 0))                                                                \
    CALL(__recvmmsg64, __recvmmsg64(in, messages, 1, 0, NULL))                                                     \
    CALL(__sendmsg64, __sendmsg64(out, &message, 0))                                                               \
    CALL(__sendmmsg64, __sendmmsg64(out, messages, 1, 0))
#else
#define CALLS_OF_32_BITS
#endif
extern size_t __fread_chk(void *, size_t, size_t, size_t, FILE *), __fread_unlocked_chk(void *, size_t, size_t, size_t, FILE *);
extern char *__fgets_chk(char *, size_t, int, FILE *), *__fgets_unlocked_chk(char *, size_t, int, FILE *);
extern ssize_t __getdelim(char **, size_t *, int, FILE *);

static char data[100];
static struct iovec part = {data, 1};
static struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
static struct mmsghdr messages[1];
static char *line;
static size_t line_size;

/* Made before the wait: descriptors with something to read (`in`) and to be written to (`out`). */
static int in, out, pipe_in, pipe_out, empty_pipe[2], internet[2], file;
static FILE *stream_in, *stream_out;
static char name1[] = "a.XXXXXX", name2[] = "b.XXXXXX.x";

static int must(int result)
{
    if (result < 0) {
        perror("calls");
        exit(2);
    }
    return result;
}

static void connect_internet(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = must(socket(AF_INET, SOCK_STREAM, 0));

    must(bind(listener, (struct sockaddr *)&address, size));
    must(listen(listener, 1));
    must(getsockname(listener, (struct sockaddr *)&address, &size));
    ends[0] = must(socket(AF_INET, SOCK_STREAM, 0));
    must(connect(ends[0], (struct sockaddr *)&address, size));
    ends[1] = must(accept(listener, NULL, NULL));
}

static void prepare(void)
{
    int ends[2];

    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    in = ends[0];
    must((int)write(ends[1], "some\nlines\n", 11));
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    out = ends[0];
    must(pipe(ends));
    pipe_in = ends[0];
    pipe_out = ends[1];
    must((int)write(pipe_out, "some\nlines\n", 11));
    must(pipe(empty_pipe));
    connect_internet(internet);
    must((int)write(internet[1], "x", 1));
    file = must(open("file", O_RDWR | O_CREAT, 0600));
    must((int)write(file, "some\nlines\n", 11));
    must((int)lseek(file, 0, SEEK_SET));
    must(mkdir("directory", 0700));
    stream_in = fdopen(dup(in), "r");
    stream_out = fdopen(dup(out), "w");
    setvbuf(stream_out, NULL, _IONBF, 0);
    messages[0].msg_hdr = message;
}

/* Progress of a child, seen through what it inherited. */
static int in_child(int over_exec)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (over_exec) {
            dup2(in, 0);
            execlp("head", "head", "-c", "1", (char *)NULL);
        }
        _exit(read(in, data, 1) == 1 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    return status == 0 ? 0 : -1;
}

static int to_full_file(void)
{
    int fd = open("file", O_RDWR | O_CREAT | O_APPEND, 0600);

    return (int)write(fd, "x", 1);
}

static int to_datagram(void)
{
    int ends[2];

    must(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
    return (int)write(ends[0], "x", 1);
}

static int to_terminal(void)
{
    int fd = must(posix_openpt(O_RDWR | O_NOCTTY));

    must(grantpt(fd));
    must(unlockpt(fd));
    return (int)write(fd, "x", 1);
}

#define CALLS                                                                                                      \
    /* bytes.c */                                                                                                  \
    CALL(read, read(in, data, 1))                                                                                  \
    CALL(__read, __read(in, data, 1))                                                                              \
    CALL(__read_chk, __read_chk(in, data, 1, sizeof data))                                                         \
    CALL(readv, readv(pipe_in, &part, 1))                                                                          \
    CALL(preadv2, preadv2(in, &part, 1, -1, 0))                                                                    \
    CALL(preadv64v2, preadv64v2(in, &part, 1, -1, 0))                                                              \
    CALL(write, write(out, data, 1))                                                                               \
    CALL(__write, __write(out, data, 1))                                                                           \
    CALL(writev, writev(pipe_out, &part, 1))                                                                       \
    CALL(pwritev2, pwritev2(out, &part, 1, -1, 0))                                                                 \
    CALL(pwritev64v2, pwritev64v2(out, &part, 1, -1, 0))                                                           \
    CALL(recv, recv(in, data, 1, 0))                                                                               \
    CALL(__recv, __recv(in, data, 1, 0))                                                                           \
    CALL(__recv_chk, __recv_chk(in, data, 1, sizeof data, 0))                                                      \
    CALL(recvfrom, recvfrom(in, data, 1, 0, NULL, NULL))                                                           \
    CALL(__recvfrom_chk, __recvfrom_chk(in, data, 1, sizeof data, 0, NULL, NULL))                                  \
    CALL(recvmsg, recvmsg(in, &message, 0))                                                                        \
    CALL(recvmmsg, recvmmsg(in, messages, 1, 0, NULL))                                                             \
    CALL(send, send(out, data, 1, 0))                                                                              \
    CALL(__send, __send(out, data, 1, 0))                                                                          \
    CALL(sendto, sendto(out, data, 1, 0, NULL, 0))                                                                 \
    CALL(sendmsg, sendmsg(out, &message, 0))                                                                       \
    CALL(sendmmsg, sendmmsg(out, messages, 1, 0))                                                                  \
    CALL(__sendmmsg, __sendmmsg(out, messages, 1, 0))                                                              \
    CALLS_OF_32_BITS                                                                                               \
    CALL(sendfile, sendfile(out, file, NULL, 1))                                                                   \
    CALL(sendfile64, sendfile64(out, file, NULL, 1))                                                               \
    CALL(splice, splice(pipe_in, NULL, out, NULL, 1, 0))                                                           \
    CALL(tee, tee(pipe_in, empty_pipe[1], 1, 0))                                                                   \
    CALL(vmsplice, vmsplice(pipe_out, &part, 1, 0))                                                                \
    CALL(fread, fread(data, 1, 1, stream_in) == 1 ? 0 : -1)                                                        \
    CALL(fread_unlocked, (fread_unlocked)(data, 1, 1, stream_in) == 1 ? 0 : -1)                                    \
    CALL(__fread_chk, __fread_chk(data, sizeof data, 1, 1, stream_in) == 1 ? 0 : -1)                               \
    CALL(__fread_unlocked_chk, __fread_unlocked_chk(data, sizeof data, 1, 1, stream_in) == 1 ? 0 : -1)             \
    CALL(fgets, fgets(data, sizeof data, stream_in) ? 0 : -1)                                                      \
    CALL(fgets_unlocked, fgets_unlocked(data, sizeof data, stream_in) ? 0 : -1)                                    \
    CALL(__fgets_chk, __fgets_chk(data, sizeof data, sizeof data, stream_in) ? 0 : -1)                             \
    CALL(__fgets_unlocked_chk, __fgets_unlocked_chk(data, sizeof data, sizeof data, stream_in) ? 0 : -1)           \
    CALL(getline, getline(&line, &line_size, stream_in))                                                           \
    CALL(getdelim, getdelim(&line, &line_size, '\n', stream_in))                                                   \
    CALL(__getdelim, __getdelim(&line, &line_size, '\n', stream_in))                                               \
    CALL(fwrite, fwrite(data, 1, 2, stream_out) == 2 ? 0 : -1)                                                     \
    CALL(fwrite_unlocked, (fwrite_unlocked)(data, 1, 2, stream_out) == 2 ? 0 : -1)                                 \
    CALL(fputs, fputs("xy", stream_out))                                                                           \
    CALL(fputs_unlocked, fputs_unlocked("xy", stream_out))                                                         \
    /* store.c */                                                                                                  \
    CALL(rename, rename("file", "new"))                                                                            \
    CALL(renameat, renameat(AT_FDCWD, "file", AT_FDCWD, "new"))                                                    \
    CALL(renameat2, renameat2(AT_FDCWD, "file", AT_FDCWD, "new", RENAME_NOREPLACE))                                \
    CALL(link, link("file", "new"))                                                                                \
    CALL(linkat, linkat(AT_FDCWD, "file", AT_FDCWD, "new", 0))                                                     \
    CALL(unlink, unlink("file"))                                                                                   \
    CALL(unlinkat, unlinkat(AT_FDCWD, "file", 0))                                                                  \
    CALL(remove, remove("file"))                                                                                   \
    CALL(mkdir, mkdir("new", 0700))                                                                                \
    CALL(mkdirat, mkdirat(AT_FDCWD, "new", 0700))                                                                  \
    CALL(rmdir, rmdir("directory"))                                                                                \
    CALL(truncate, truncate("file", 1))                                                                            \
    CALL(truncate64, truncate64("file", 1))                                                                        \
    CALL(ftruncate, ftruncate(file, 1))                                                                            \
    CALL(ftruncate64, ftruncate64(file, 1))                                                                        \
    CALL(fsync, fsync(file))                                                                                       \
    CALL(fdatasync, fdatasync(file))                                                                               \
    CALL(syncfs, syncfs(file))                                                                                     \
    CALL(sync_file_range, sync_file_range(file, 0, 1, SYNC_FILE_RANGE_WRITE))                                      \
    CALL(open, open("new", O_WRONLY | O_CREAT | O_EXCL, 0600))                                                     \
    CALL(open64, open64("new", O_WRONLY | O_CREAT, 0600))                                                          \
    CALL(__open, __open("new", O_WRONLY | O_CREAT, 0600))                                                          \
    CALL(__open64, __open64("new", O_WRONLY | O_CREAT, 0600))                                                      \
    CALL(openat, openat(AT_FDCWD, "new", O_WRONLY | O_CREAT, 0600))                                                \
    CALL(openat64, openat64(AT_FDCWD, "new", O_WRONLY | O_CREAT, 0600))                                            \
    CALL(creat, creat("new", 0600))                                                                                \
    CALL(creat64, creat64("new", 0600))                                                                            \
    CALL(mkstemp, mkstemp(name1))                                                                                  \
    CALL(mkstemp64, mkstemp64(name1))                                                                              \
    CALL(mkostemp, mkostemp(name1, 0))                                                                             \
    CALL(mkostemp64, mkostemp64(name1, 0))                                                                         \
    CALL(mkstemps, mkstemps(name2, 2))                                                                             \
    CALL(mkstemps64, mkstemps64(name2, 2))                                                                         \
    CALL(mkostemps, mkostemps(name2, 2, 0))                                                                        \
    CALL(mkostemps64, mkostemps64(name2, 2, 0))                                                                    \
    CALL(fopen, fopen("new", "w") ? 0 : -1)                                                                        \
    CALL(fopen64, fopen64("new", "a") ? 0 : -1)                                                                    \
    /* where the descriptor comes from */                                                                          \
    CALL(progress: an internet socket, recv(internet[0], data, 1, 0))                                              \
    CALL(progress: a duplicate, read(dup(in), data, 1))                                                            \
    CALL(progress: a chosen number, read(dup2(in, 77), data, 1))                                                   \
    CALL(progress: fcntl, read(fcntl(in, F_DUPFD_CLOEXEC, 50), data, 1))                                           \
    CALL(progress: a number used again, dup2(in, file) == file ? read(file, data, 1) : -1)                         \
    CALL(progress: in a child, in_child(0))                                                                        \
    CALL(progress: over exec, in_child(1))                                                                         \
    CALL(progress: after a file, read(file, data, 1) == 1 ? read(in, data, 1) : -1)                                \
    /* what does not count */                                                                                      \
    CALL(nothing: reading a file, read(file, data, 1))                                                             \
    CALL(nothing: writing a file, write(file, data, 1))                                                            \
    CALL(nothing: reading a file by lines, fgets(data, sizeof data, fdopen(file, "r")) ? 0 : -1)                   \
    CALL(nothing: appending to a log, to_full_file())                                                              \
    CALL(nothing: standard output, write(1, "x", 1))                                                               \
    CALL(nothing: standard output by another number, write(dup(1), "x", 1))                                        \
    CALL(nothing: standard error, write(2, "x", 1))                                                                \
    CALL(nothing: a pipe in its place, dup2(out, 2) == 2 ? write(2, "x", 1) : -1)                                  \
    CALL(nothing: a terminal, to_terminal())                                                                       \
    CALL(nothing: a datagram, to_datagram())                                                                       \
    CALL(nothing: an event, eventfd_write(must(eventfd(0, 0)), 1))                                                 \
    CALL(nothing: the null device, write(must(open("/dev/null", O_WRONLY)), "x", 1))                               \
    CALL(nothing: a failure, unlink("missing") == -1 && read(empty_pipe[1], data, 1) == -1 ? 0 : -1)               \
    CALL(nothing: the end of a pipe, close(empty_pipe[1]) == 0 ? read(empty_pipe[0], data, 1) : -1)                \
    CALL(nothing: calculating, 0)

int main(int argc, char **argv)
{
    if (argc != 2)
        return 64;
    if (strcmp(argv[1], "--list") == 0) {
#define CALL(name, ...) puts(#name);
        CALLS
#undef CALL
        return 0;
    }
    prepare();
    if (getenv("AT_ONCE") == NULL)
        poll(NULL, 0, DUE_MS);
#define CALL(name, ...)                                                                                            \
    if (strcmp(argv[1], #name) == 0)                                                                               \
        must((int)(__VA_ARGS__));
    CALLS
    return 0;
}
