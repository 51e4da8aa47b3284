/// What the kernel's page cache holds of a file. Flat C only; imported by Cache alone.
#ifndef CPAGECACHE_H
#define CPAGECACHE_H

#include <stdbool.h>
#include <stdint.h>

/// How many pages of a range of a file lie in memory, those among them that are still being read; less than 0 where the
/// kernel does not say (before Linux 6.5, or forbidden).
int64_t martlet_cached_pages(int descriptor, uint64_t offset, uint64_t count);

/// Whether a byte of a file can be read without waiting. Not where its page is on its way, and not where the filesystem
/// has failed although it has the page; where the filesystem does not know how not to wait, it is read in the usual way.
bool martlet_reads_at_once(int descriptor, uint64_t offset);

#endif
