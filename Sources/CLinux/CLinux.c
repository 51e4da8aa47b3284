#include "CLinux.h"

#include <sys/prctl.h>

void martlet_name_thread(const char *name) {
    // The kernel copies at most 16 bytes and ends them itself.
    prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0);
}
