/// Linux calls that Glibc's Swift overlay does not reach. Flat C only.
#ifndef CLINUX_H
#define CLINUX_H
#endif
