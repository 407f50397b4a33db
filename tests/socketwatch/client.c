/* SPDX-License-Identifier: GPL-2.0-or-later */

/* client HOW PORT: connect to loopback and receive until the connection ends, waiting in one of several ways. */

#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static char data[1000];

static ssize_t by_read(int fd) { return read(fd, data, sizeof data); }
static ssize_t by_recv(int fd) { return recv(fd, data, sizeof data, 0); }

static ssize_t by_stream(int fd)
{
    static FILE *stream;

    if (stream == NULL)
        stream = fdopen(fd, "r");
    return fread(data, 1, 1, stream) == 1;
}

static ssize_t by_recvmsg(int fd)
{
    struct iovec part = {data, sizeof data};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    return recvmsg(fd, &message, 0);
}

/* Until the kernel takes no more. */
static ssize_t by_sending(int fd) { return send(fd, data, sizeof data, 0); }

static ssize_t by_poll(int fd)
{
    struct pollfd watched = {fd, POLLIN, 0};

    while (poll(&watched, 1, 100) == 0) /* awake, and yet without progress */
        ;
    return read(fd, data, sizeof data);
}

static ssize_t by_select(int fd)
{
    fd_set watched;

    FD_ZERO(&watched);
    FD_SET(fd, &watched);
    select(fd + 1, &watched, NULL, NULL, NULL);
    return readv(fd, &(struct iovec){data, sizeof data}, 1);
}

static ssize_t by_epoll(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int watched = epoll_create1(0);

    epoll_ctl(watched, EPOLL_CTL_ADD, fd, &event);
    epoll_wait(watched, &event, 1, -1);
    close(watched);
    return recvfrom(fd, data, sizeof data, MSG_DONTWAIT, NULL, NULL);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; ssize_t (*receive)(int); } ways[] = {
        {"read", by_read},     {"recv", by_recv},     {"stream", by_stream}, {"recvmsg", by_recvmsg},
        {"poll", by_poll},     {"select", by_select}, {"epoll", by_epoll},
        {"send", by_sending},
    };
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (argc != 3)
        return 64;
    address.sin_port = htons((unsigned short)atoi(argv[2]));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return 1;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].name, argv[1]) == 0) {
            while (ways[i].receive(fd) > 0)
                ;
            return 0;
        }
    return 64;
}
