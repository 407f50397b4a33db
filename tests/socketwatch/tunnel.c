/* SPDX-License-Identifier: GPL-2.0-or-later */

/* tunnel PORT: copy between standard streams and a connection to loopback.  Compiled under the name ssh, in which the
   shim keeps quiet. */

#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void copy(int from, int to)
{
    char data[4096];
    ssize_t size = read(from, data, sizeof data);

    if (size <= 0 || write(to, data, (size_t)size) != size)
        exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons((unsigned short)atoi(argv[argc - 1]));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return 1;
    for (;;) {
        struct pollfd watched[] = {{0, POLLIN, 0}, {fd, POLLIN, 0}};
        poll(watched, 2, -1);
        if (watched[0].revents)
            copy(0, fd);
        if (watched[1].revents)
            copy(fd, 1);
    }
}
