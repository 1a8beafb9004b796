/* record_map.c - a compiled configuration in a descriptor. */
#include "supervisor/record_map.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

int
record_map(struct record *out, int fd, uint32_t *out_version)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -errno;
    if (status.st_size <= 0)
        return -EINVAL;
    size_t size = (size_t)status.st_size;
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0); /* record.h: why private */
    if (map == MAP_FAILED)
        return -errno;
    int r = record_open(out, map, size);
    if (r == -EPROTO && out_version != NULL)
        *out_version = ((const struct record_header *)map)->version;
    if (r != 0)
        munmap(map, size);
    return r;
}

void
record_unmap(struct record *record)
{
    if (record->header != NULL)
        munmap((void *)(uintptr_t)record->header, record->size);
    *record = (struct record){0};
}
