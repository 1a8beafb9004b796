/* workers.c - the table of the keeper's workers: places, phases, and what the engine asks of those
 * that are there. */
#include "supervisor/keeper/keeper.h"

int
workers_open(struct workers *workers, uint32_t places)
{
    uint32_t buckets = 64;
    while (buckets < places)
        buckets *= 2;
    workers->places = places;
    workers->buckets_count = buckets;
    workers->v = table_map(places, sizeof *workers->v);
    workers->buckets = table_map(buckets, sizeof *workers->buckets);
    workers->waiting = table_map(places, sizeof *workers->waiting);
    return workers->v != NULL && workers->buckets != NULL && workers->waiting != NULL ? 0 : -errno;
}

/* Generation and kind are left out: what differs by them only is two or three at one time. */
static uint32_t *
bucket_of(struct workers *workers, struct worker_id id)
{
    uint64_t mix = ((uint64_t)id.pool << 32 | id.slot) * 0x9e3779b97f4a7c15u;
    return &workers->buckets[mix >> 32 & (workers->buckets_count - 1)];
}

struct worker *
worker_find(struct workers *workers, struct worker_id id, unsigned kind)
{
    for (uint32_t at = *bucket_of(workers, id); at != 0; at = workers->v[at - 1].next) {
        struct worker *worker = &workers->v[at - 1];
        if (memcmp(&worker->id, &id, sizeof id) == 0 && worker->kind == kind)
            return worker;
    }
    return NULL;
}

struct worker *
worker_add(struct workers *workers, struct worker_id id, uint8_t kind)
{
    uint32_t *head = bucket_of(workers, id), place = workers->used;
    if (workers->free_first != 0) {
        place = workers->free_first - 1;
        workers->free_first = workers->v[place].next;
    } else if (workers->used < workers->places) {
        workers->used++;
    } else {
        return NULL;
    }
    struct worker *worker = &workers->v[place];
    *worker = (struct worker){.id = id, .kind = kind, .child = child_none, .next = *head};
    *head = place + 1;
    workers->waiting[(workers->waiting_at + workers->waiting_count++) % workers->places] = place;
    worker_enter(workers, worker, IN_WAITING);
    return worker;
}

struct worker *
worker_waiting(const struct workers *workers)
{
    assert(workers->waiting_count > 0);
    return &workers->v[workers->waiting[workers->waiting_at]];
}

void
worker_enter(struct workers *workers, struct worker *worker, enum worker_in in)
{
    static const uint8_t legal[WORKER_IN_COUNT] = {/* bits: where a phase may lead */
                                                   [IN_FREE] = 1 << IN_WAITING,
                                                   [IN_WAITING] = 1 << IN_SPAWNED | 1 << IN_FREE,
                                                   [IN_SPAWNED] =
                                                       1 << IN_EXECUTED | 1 << IN_EXEC_FAILED,
                                                   [IN_EXECUTED] = 1 << IN_EXITED,
                                                   [IN_EXEC_FAILED] = 1 << IN_EXITED,
                                                   [IN_EXITED] = 1 << IN_FREE};
    assert((legal[worker->in] & 1 << in) != 0);
    if (worker->in == IN_WAITING) {
        assert(worker == worker_waiting(workers)); /* nobody is served out of turn */
        workers->waiting_at = (workers->waiting_at + 1) % workers->places;
        workers->waiting_count--;
    }
    worker->in = (uint8_t)in;
    if (in != IN_FREE)
        return;
    uint32_t place = (uint32_t)(worker - workers->v), *at = bucket_of(workers, worker->id);
    while (*at != place + 1)
        at = &workers->v[*at - 1].next;
    *at = worker->next;
    worker->next = workers->free_first;
    workers->free_first = place + 1;
}

void
worker_signal(struct keeper *k, const struct verb *verb)
{
    struct worker *worker = worker_find(&k->workers, verb->worker, verb->spawn);
    if (worker == NULL || verb->signo < 1 || verb->signo >= NSIG)
        return;
    if (worker->in == IN_WAITING)
        worker->withdrawn = true;
    if (worker->in < IN_SPAWNED)
        return;
    /* The pid is our child's, and not released: it is nobody else's, but may lead no group yet. */
    if (verb->argument != TARGET_GROUP || kill(-worker->child.pid, verb->signo) != 0)
        kill(worker->child.pid, verb->signo);
}

void
worker_ready(struct keeper *k, const struct verb *verb)
{
    struct worker *worker = worker_find(&k->workers, verb->worker, verb->spawn);
    if (worker != NULL)
        worker->ready = true;
}

void
worker_release(struct keeper *k, const struct verb *verb)
{
    struct worker *worker = worker_find(&k->workers, verb->worker, verb->spawn);
    siginfo_t info;
    if (worker == NULL || worker->in != IN_EXITED)
        return;
    waitid(P_PID, (id_t)worker->child.pid, &info, WEXITED | WNOHANG);
    child_close(k, &worker->child);
    worker_enter(&k->workers, worker, IN_FREE);
}
