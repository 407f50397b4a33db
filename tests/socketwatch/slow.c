/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A slow disk, for LD_PRELOAD: opening a message of a Maildir takes 10 ms. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef int (*opening)(const char *, int, ...);
typedef int (*opening_at)(int, const char *, int, ...);

static void wait_for_disk(const char *path)
{
    if (strstr(path, "/cur/") != NULL)
        usleep(10000);
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    wait_for_disk(path);
    return ((opening)dlsym(RTLD_NEXT, "open64"))(path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    wait_for_disk(path);
    return ((opening_at)dlsym(RTLD_NEXT, "openat64"))(directory, path, flags, mode);
}
