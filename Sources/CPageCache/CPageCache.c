// cachestat(2), for which the C library has no name yet. Its number is the same on every processor.

#define _GNU_SOURCE

#include "CPageCache.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

int64_t martlet_cached_pages(int descriptor, uint64_t offset, uint64_t count) {
    struct {
        uint64_t offset, count;
    } range = {offset, count};
    struct {
        uint64_t cached, dirty, under_writeback, evicted, recently_evicted;
    } found = {0, 0, 0, 0, 0};
    if (syscall(SYS_cachestat, descriptor, &range, &found, 0) != 0) return -1;
    return (int64_t)found.cached;
}

bool martlet_reads_at_once(int descriptor, uint64_t offset) {
    char byte;
    struct iovec piece = {&byte, 1};
    ssize_t count = preadv2(descriptor, &piece, 1, (off_t)offset, RWF_NOWAIT);
    if (count < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) count = pread(descriptor, &byte, 1, (off_t)offset);
    return count == 1;
}
