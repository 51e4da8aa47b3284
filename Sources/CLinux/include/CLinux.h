/// Linux calls that Glibc's Swift overlay does not reach. Flat C only; imported by Telemetry alone.
#ifndef CLINUX_H
#define CLINUX_H

/// Names the calling thread for top, gdb and perf. Longer names than 15 bytes are cut.
void martlet_name_thread(const char *_Nonnull name);

#endif
