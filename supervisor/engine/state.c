/* state.c - the memfd that outlives the engine. */
#include "supervisor/engine/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "supervisor/engine/events.h"

#define STATE_MAGIC "poold.st"

struct state_header {
    char magic[8];
    uint32_t version, core_version;
    uint32_t pools_max, workers_max, records;
    uint32_t whole; /* written last: the header can be trusted */
    struct state_stops stops;
    uint64_t kept;
};

/* In front of each copy of a record. */
struct copy {
    uint64_t sequence; /* 0: never written; the larger one is the newer */
    uint32_t len;
    uint32_t checksum; /* of sequence, len and the bytes */
};

/* Behind the records, one for each handle. */
struct address {
    uint32_t pool, generation; /* whose; generation 0: nobody's */
    uint8_t len;
    char name[STATE_NAME_MAX];
};

struct state {
    int fd;
    char *map;
    size_t size;
    struct state_header *header;
    uint32_t records;
    uint32_t handles;
    uint32_t *at;      /* offset of each record's first copy, in units of 8 bytes */
    uint32_t *touched; /* scratch */
    uint32_t touched_cap;
};

static size_t
round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Enough against a torn write, which is all that can happen to memory of our own. */
static uint32_t
state_checksum(uint64_t sequence, uint32_t len, const void *bytes)
{
    uint64_t hash = hash_bytes(HASH_START, &sequence, sizeof sequence);
    hash = hash_bytes(hash, &len, sizeof len);
    return (uint32_t)hash_mix(hash_bytes(hash, bytes, len));
}

static size_t
copy_size(const struct state *state, uint32_t record)
{
    return ((size_t)state->at[record + 1] - state->at[record]) * 8 / 2;
}

static struct copy *
state_copy(const struct state *state, uint32_t record, int which)
{
    assert(record < state->records);
    size_t at = (size_t)state->at[record] * 8 + (which ? copy_size(state, record) : 0);
    return (struct copy *)(void *)(state->map + at);
}

static bool
copy_is_whole(const struct state *state, uint32_t record, const struct copy *copy)
{
    return copy->sequence != 0 && copy->len <= copy_size(state, record) - sizeof *copy &&
           copy->checksum == state_checksum(copy->sequence, copy->len, copy + 1);
}

/* The newest whole copy, or NULL. */
static struct copy *
state_newest(const struct state *state, uint32_t record)
{
    struct copy *a = state_copy(state, record, 0), *b = state_copy(state, record, 1);
    bool a_whole = copy_is_whole(state, record, a), b_whole = copy_is_whole(state, record, b);
    if (a_whole && b_whole)
        return a->sequence > b->sequence ? a : b;
    return a_whole ? a : b_whole ? b : NULL;
}

/* Lays out header, ring, records and addresses; returns the size of the whole. */
static size_t
state_lay_out(struct state *state, const struct core *core)
{
    size_t at = round_up(sizeof(struct state_header), 64) + round_up(events_ring_size(), 4096);
    for (uint32_t i = 0; i < state->records; i++) {
        state->at[i] = (uint32_t)(at / 8);
        at += 2 * round_up(sizeof(struct copy) + core_record_size(core, i), 8);
    }
    state->at[state->records] = (uint32_t)(at / 8);
    assert(at / 8 <= UINT32_MAX);
    return at + state->handles * sizeof(struct address);
}

static bool
header_matches(const struct state *state, const struct core_limits *limits)
{
    const struct state_header *h = state->header;
    return memcmp(h->magic, STATE_MAGIC, sizeof h->magic) == 0 && h->version == STATE_VERSION &&
           h->whole == 1 && h->core_version == CORE_STATE_VERSION &&
           h->pools_max == limits->pools_max && h->workers_max == limits->workers_max &&
           h->records == state->records;
}

static void
header_write(struct state *state, const struct core_limits *limits)
{
    struct state_header *h = state->header;
    __atomic_store_n(&h->whole, 0, __ATOMIC_RELEASE);
    memcpy(h->magic, STATE_MAGIC, sizeof h->magic);
    h->version = STATE_VERSION;
    h->core_version = CORE_STATE_VERSION;
    h->pools_max = limits->pools_max;
    h->workers_max = limits->workers_max;
    h->records = state->records;
    __atomic_store_n(&h->whole, 1, __ATOMIC_RELEASE);
}

static int
state_map(struct state *state, struct err *err)
{
    struct stat st;
    if (fstat(state->fd, &st) != 0)
        return err_errno(err, -errno, "the state memfd");
    /* Only ever grown: a smaller need leaves the rest untouched. */
    if ((size_t)st.st_size < state->size && ftruncate(state->fd, (off_t)state->size) != 0)
        return err_errno(err, -errno, "the state memfd cannot be sized to %zu bytes", state->size);
    void *map = mmap(NULL, state->size, PROT_READ | PROT_WRITE, MAP_SHARED, state->fd, 0);
    if (map == MAP_FAILED)
        return err_errno(err, -errno, "the state memfd cannot be mapped");
    state->map = map;
    state->header = map;
    return 0;
}

int
state_open(struct state **out, int fd, const struct core_limits *limits, const struct core *core,
           bool *out_restorable, struct err *err)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return err_set(err, -ENOMEM, "out of memory for the state");
    state->fd = fd;
    state->records = core_record_count(core);
    state->handles = limits->workers_max;
    state->touched_cap = core_touched_max(limits);
    state->at = malloc(((size_t)state->records + 1) * sizeof *state->at);
    state->touched = malloc(state->touched_cap * sizeof *state->touched);
    if (state->at == NULL || state->touched == NULL) {
        state_close(&state);
        return err_set(err, -ENOMEM, "out of memory for the state");
    }
    state->size = state_lay_out(state, core);
    int r = state_map(state, err);
    if (r != 0) {
        state_close(&state);
        return r;
    }
    *out_restorable = header_matches(state, limits);
    if (!*out_restorable) {
        state_reset(state);
        header_write(state, limits);
    }
    *out = state;
    return 0;
}

void
state_close(struct state **at)
{
    struct state *state = *at;
    if (state == NULL)
        return;
    if (state->map != NULL)
        munmap(state->map, state->size);
    close(state->fd);
    free(state->at);
    free(state->touched);
    free(state);
    *at = NULL;
}

void *
state_ring(struct state *state)
{
    return state->map + round_up(sizeof(struct state_header), 64);
}

struct state_stops *
state_stops(struct state *state)
{
    return &state->header->stops;
}

uint64_t *
state_kept(struct state *state)
{
    return &state->header->kept;
}

static struct address *
address_of(const struct state *state, uint32_t handle)
{
    assert(handle < state->handles);
    size_t at = (size_t)state->at[state->records] * 8 + handle * sizeof(struct address);
    return (struct address *)(void *)(state->map + at);
}

/* Nobody's while it is written: a kill at any instruction leaves an address that is whole, or none. */
void
state_address_keep(struct state *state, uint32_t handle, struct worker_id id, const char *name,
                   size_t len)
{
    struct address *address = address_of(state, handle);
    __atomic_store_n(&address->generation, 0, __ATOMIC_RELEASE);
    if (len == 0 || len > STATE_NAME_MAX)
        return;
    address->pool = id.pool;
    address->len = (uint8_t)len;
    memcpy(address->name, name, len);
    __atomic_store_n(&address->generation, id.generation, __ATOMIC_RELEASE);
}

size_t
state_address(const struct state *state, uint32_t handle, struct worker_id id,
              char out[STATE_NAME_MAX])
{
    const struct address *address = address_of(state, handle);
    if (id.generation == 0 || address->generation != id.generation || address->pool != id.pool ||
        address->len > STATE_NAME_MAX)
        return 0;
    memcpy(out, address->name, address->len);
    return address->len;
}

int
state_restore(struct state *state, struct core *core, msec now, struct err *err)
{
    off_t data = 0; /* where something was written; nothing between the record before and it */
    for (uint32_t i = 0; i < state->records; i++) {
        /* A hole is not looked into: the look alone would give it pages. */
        if (data < (off_t)state->at[i] * 8)
            data = lseek(state->fd, (off_t)state->at[i] * 8, SEEK_DATA);
        if (data < 0)
            break; /* ENXIO: there is nothing behind */
        if (data >= (off_t)state->at[i + 1] * 8)
            continue;
        const struct copy *copy = state_newest(state, i);
        if (copy == NULL || copy->len == 0)
            continue;
        int r = core_record_read(core, i, copy + 1, copy->len);
        if (r != 0)
            return err_errno(err, r, "record %u of the saved state is refused", i);
    }
    int r = core_restore_end(core, now);
    if (r != 0)
        return err_errno(err, r, "the saved state does not hold together");
    return 0;
}

/* Gives the pages of the records back, so that they are zero and cost nothing. */
void
state_reset(struct state *state)
{
    state->header->stops = (struct state_stops){0};
    size_t from = (size_t)state->at[0] * 8;
    memset(state->map + from, 0, MIN(round_up(from, 4096), state->size) - from);
    from = round_up(from, 4096);
    if (from < state->size &&
        madvise(state->map + from, round_up(state->size - from, 4096), MADV_REMOVE) != 0)
        memset(state->map + from, 0, state->size - from);
}

static void
state_write(struct state *state, const struct core *core, uint32_t record)
{
    struct copy *a = state_copy(state, record, 0), *b = state_copy(state, record, 1);
    struct copy *to = a->sequence <= b->sequence ? a : b;
    uint64_t sequence = MAX(a->sequence, b->sequence) + 1;
    /* A torn copy must look torn: its checksum cannot match before it is written last. */
    __atomic_store_n(&to->checksum, ~to->checksum, __ATOMIC_RELEASE);
    size_t len = core_record_write(core, record, to + 1, copy_size(state, record) - sizeof *to);
    to->sequence = sequence;
    to->len = (uint32_t)len;
    __atomic_store_n(&to->checksum, state_checksum(sequence, to->len, to + 1), __ATOMIC_RELEASE);
}

void
state_save(struct state *state, struct core *core)
{
    uint32_t n = core_touched(core, state->touched, state->touched_cap);
    for (uint32_t i = 0; i < n; i++)
        state_write(state, core, state->touched[i]);
    core_touched_clear(core);
}
