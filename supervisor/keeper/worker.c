/* worker.c - the table of the keeper's workers: places, phases, and who is found by what. */
#include "supervisor/keeper/worker.h"

#include <errno.h>
#include <sys/mman.h>

static uint32_t bucket_of_id(const struct worker_table *table, struct worker_id id, unsigned kind);
static uint32_t bucket_of_pid(const struct worker_table *table, pid_t pid);
static void worker_forget(struct worker_table *table, struct worker *worker);

int
workers_open(struct worker_table *table, uint32_t places)
{
    uint32_t buckets = 64;
    while (buckets < places)
        buckets *= 2;
    size_t size = places * sizeof *table->v + 2 * (size_t)buckets * sizeof(uint32_t);
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *table = (struct worker_table){.v = (struct worker *)(void *)memory,
                                   .places = places,
                                   .buckets = buckets,
                                   .free_first = NONE,
                                   .waiting = {NONE, NONE},
                                   .reporting = {NONE, NONE},
                                   .leaving = {NONE, NONE}};
    table->by_id = (uint32_t *)(void *)(table->v + places);
    table->by_pid = table->by_id + buckets;
    return 0;
}

/* Chains hold index + 1, so that fresh pages are empty chains. */
struct worker *
worker_find(struct worker_table *table, struct worker_id id, unsigned kind)
{
    uint32_t at = table->by_id[bucket_of_id(table, id, kind)];
    for (; at != 0; at = table->v[at - 1].id_next) {
        struct worker *worker = &table->v[at - 1];
        if (worker->id.generation == id.generation && worker->id.slot == id.slot &&
            worker->id.pool == id.pool && worker->kind == kind)
            return worker;
    }
    return NULL;
}

struct worker *
worker_find_pid(struct worker_table *table, pid_t pid)
{
    uint32_t at = table->by_pid[bucket_of_pid(table, pid)];
    for (; at != 0; at = table->v[at - 1].pid_next) {
        if (table->v[at - 1].pid == pid)
            return &table->v[at - 1];
    }
    return NULL;
}

struct worker *
worker_add(struct worker_table *table, struct worker_id id, unsigned kind)
{
    struct worker *worker;
    if (table->free_first != NONE) {
        worker = &table->v[table->free_first];
        table->free_first = worker->id_next;
    } else if (table->used < table->places) {
        worker = &table->v[table->used++];
    } else {
        return NULL;
    }
    uint32_t *head = &table->by_id[bucket_of_id(table, id, kind)];
    *worker = (struct worker){.id = id,
                              .kind = (uint8_t)kind,
                              .in = IN_FREE,
                              .link = -1,
                              .pidfd = -1,
                              .channel = CHANNEL_NONE,
                              .id_next = *head,
                              .line_next = NONE};
    *head = worker_index(table, worker) + 1;
    table->count++;
    worker_enter(table, worker, IN_WAITING);
    return worker;
}

void
worker_set_pid(struct worker_table *table, struct worker *worker, pid_t pid)
{
    assert(worker->pid == 0 && pid > 0);
    uint32_t *head = &table->by_pid[bucket_of_pid(table, pid)];
    worker->pid = pid;
    worker->pid_next = *head;
    *head = worker_index(table, worker) + 1;
}

void
worker_enter(struct worker_table *table, struct worker *worker, enum worker_in in)
{
    /* clang-format off */
    static const uint8_t legal[WORKER_IN_COUNT] = { /* bits: where a phase may lead */
        [IN_FREE]        = 1 << IN_WAITING,
        [IN_WAITING]     = 1 << IN_SPAWNED | 1 << IN_FREE,
        [IN_SPAWNED]     = 1 << IN_EXECUTED | 1 << IN_EXEC_FAILED,
        [IN_EXECUTED]    = 1 << IN_EXITED,
        [IN_EXEC_FAILED] = 1 << IN_EXITED,
        [IN_EXITED]      = 1 << IN_FREE,
    };
    /* clang-format on */
    assert((legal[worker->in] & 1 << in) != 0);
    worker->in = (uint8_t)in;
    if (in == IN_FREE)
        worker_forget(table, worker);
}

bool
worker_is_alive(const struct worker *worker)
{
    return worker->in == IN_SPAWNED || worker->in == IN_EXECUTED || worker->in == IN_EXEC_FAILED;
}

uint32_t
worker_index(const struct worker_table *table, const struct worker *worker)
{
    return (uint32_t)(worker - table->v);
}

void
line_add(struct worker_table *table, struct worker_line *line, struct worker *worker)
{
    uint32_t index = worker_index(table, worker);
    worker->line_next = NONE;
    if (line->first == NONE)
        line->first = index;
    else
        table->v[line->last].line_next = index;
    line->last = index;
}

struct worker *
line_first(struct worker_table *table, const struct worker_line *line)
{
    return line->first == NONE ? NULL : &table->v[line->first];
}

void
line_drop_first(struct worker_table *table, struct worker_line *line)
{
    struct worker *worker = &table->v[line->first];
    line->first = worker->line_next;
    worker->line_next = NONE;
}

static uint32_t
bucket_of_id(const struct worker_table *table, struct worker_id id, unsigned kind)
{
    uint64_t mix = ((uint64_t)id.pool << 32 | id.slot) * 0x9e3779b97f4a7c15u;
    mix = (mix ^ mix >> 29 ^ id.generation ^ (uint64_t)kind << 32) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(mix >> 32) & (table->buckets - 1);
}

static uint32_t
bucket_of_pid(const struct worker_table *table, pid_t pid)
{
    return (uint32_t)pid & (table->buckets - 1); /* pids come one after the other */
}

static void
worker_forget(struct worker_table *table, struct worker *worker)
{
    uint32_t self = worker_index(table, worker) + 1;
    assert(!worker->queued && worker->link < 0 && worker->pidfd < 0 && worker->channel.notify < 0);
    uint32_t *at = &table->by_id[bucket_of_id(table, worker->id, worker->kind)];
    while (*at != self)
        at = &table->v[*at - 1].id_next;
    *at = worker->id_next;
    if (worker->pid != 0) {
        at = &table->by_pid[bucket_of_pid(table, worker->pid)];
        while (*at != self)
            at = &table->v[*at - 1].pid_next;
        *at = worker->pid_next;
    }
    worker->pid = 0;
    table->count--;
    worker->id_next = table->free_first;
    table->free_first = self - 1;
}
