/* capacity.h - what fits into the limit of open files. */
#ifndef POOLD_LOAD_CAPACITY_H
#define POOLD_LOAD_CAPACITY_H

#include "common/err.h"
#include "supervisor/record.h"

/* Sets nofile, places and pidfds of header, for a configuration of so many listening sockets whose
 * pools may have so many workers. */
void capacity_set(struct record_header *header, uint32_t sockets, uint64_t workers);

/* Whether there is room for a keeper with its sockets and one worker. Returns 0, or -EMFILE with the
 * numbers. */
int capacity_check(const struct record_header *header, struct err *);

#endif
