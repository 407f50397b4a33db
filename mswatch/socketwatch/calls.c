/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Finding the calls of libc that ours stand before. */

#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>

/* Tell whether the call is there.  A libc that lacks it (an old one, renameat2) makes it fail as a kernel would. */
bool find_call(void **call, const char *name)
{
    *call = dlsym(RTLD_NEXT, name);
    if (*call == NULL)
        errno = ENOSYS;
    return *call != NULL;
}
