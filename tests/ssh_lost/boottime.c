/* Loaded into the service by a test: CLOCK_BOOTTIME is ahead by a second for each byte of the file $BOOTTIME_AHEAD, as
 * after so much sleep. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time)
{
    struct stat status;
    const char *path = getenv("BOOTTIME_AHEAD");
    int result = (int)syscall(SYS_clock_gettime, clock, time);

    if (result == 0 && clock == CLOCK_BOOTTIME && path != NULL && stat(path, &status) == 0)
        time->tv_sec += status.st_size;
    return result;
}
