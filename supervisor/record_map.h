/* record_map.h - a compiled configuration in a descriptor: mapped, checked, and given back. */
#ifndef POOLD_RECORD_MAP_H
#define POOLD_RECORD_MAP_H

#include "supervisor/record.h"

/* Maps fd, which stays the caller's, and checks every byte. Returns 0, what record_open says, or
 * another negative errno, with *out untouched; -EPROTO: *out_version, unless NULL, is the other
 * version. */
int record_map(struct record *out, int fd, uint32_t *out_version);

/* What record_map made, or nothing: it is empty then. */
void record_unmap(struct record *);

#endif
