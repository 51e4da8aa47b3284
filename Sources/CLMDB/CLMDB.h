/// LMDB, the memory-mapped B+ tree (Debian: liblmdb-dev). Imported by Replica alone.
#include <lmdb.h>
