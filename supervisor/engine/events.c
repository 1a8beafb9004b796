/* events.c - one event: made from a format, kept in the ring, handed to every sink. */
#include "supervisor/engine/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/text.h"
#include "supervisor/engine/event_ring.h"

struct event_sink {
    event_sink_fn *fn;
    void *ctx;
};

struct events {
    struct event_ring ring;
    struct event_sink sinks[EVENT_SINKS_MAX];
    uint32_t sink_count;
    bool emitting; /* a sink that emits would show others the later event first */
};

static const struct event_row rows[] = {
#define X(number, NAME, name, severity, fields, when)                                              \
    {number, EVENT_##severity, name, fields, when},
#include "supervisor/engine/events.def"
#undef X
};

const struct event_row *
event_rows(size_t *out_count)
{
    *out_count = ARRAY_LEN(rows);
    return rows;
}

const struct event_row *
event_row(uint16_t id)
{
    size_t low = 0, high = ARRAY_LEN(rows);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rows[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ARRAY_LEN(rows) && rows[low].id == id ? &rows[low] : NULL;
}

const char *
event_severity_name(uint8_t severity)
{
    static const char *const names[] = {
        [EVENT_ERR] = "err",
        [EVENT_WARNING] = "warning",
        [EVENT_NOTICE] = "notice",
        [EVENT_INFO] = "info",
    };
    assert(severity >= EVENT_ERR && severity <= EVENT_INFO);
    return names[severity];
}

size_t
events_ring_size(void)
{
    return event_ring_size();
}

int
events_create(struct events **out, void *ring, struct err *err)
{
    struct events *events = calloc(1, sizeof *events);
    if (events == NULL)
        return err_errno(err, -ENOMEM, "make the list of events");
    if (ring != NULL)
        event_ring_open(&events->ring, ring);
    *out = events;
    return 0;
}

void
events_destroy(struct events **events)
{
    free(*events);
    *events = NULL;
}

void
events_sink_add(struct events *events, event_sink_fn *fn, void *ctx)
{
    assert(!events->emitting);
    assert(events->sink_count < EVENT_SINKS_MAX);
    events->sinks[events->sink_count++] = (struct event_sink){fn, ctx};
}

void
events_sink_remove(struct events *events, event_sink_fn *fn, void *ctx)
{
    assert(!events->emitting);
    uint32_t i = 0;
    while (i < events->sink_count && (events->sinks[i].fn != fn || events->sinks[i].ctx != ctx))
        i++;
    assert(i < events->sink_count);
    events->sink_count--;
    memmove(&events->sinks[i], &events->sinks[i + 1],
            (events->sink_count - i) * sizeof events->sinks[0]);
}

static int64_t
wall_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The format's text, harmless whatever came into it, in at most cap bytes with its NUL. */
static void
write_text(char *out, size_t cap, const char *format, va_list ap)
{
    char raw[EVENT_LINE_MAX];
    int n = vsnprintf(raw, sizeof raw, format, ap);
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len >= sizeof raw)
        len = text_cut(raw, sizeof raw - 1, sizeof raw - 1);
    text_escape(out, cap, raw, len);
}

void
events_emit(struct events *events, enum event_id id, const char *pool, struct worker_id worker,
            const struct event_fields *fields, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    events_vemit(events, id, pool, worker, fields, format, ap);
    va_end(ap);
}

void
events_vemit(struct events *events, enum event_id id, const char *pool, struct worker_id worker,
             const struct event_fields *fields, const char *format, va_list ap)
{
    const struct event_row *row = event_row((uint16_t)id);
    assert(row != NULL);
    assert(!events->emitting);
    char text[EVENT_LINE_MAX];
    size_t pairs = fields != NULL ? fields->len : 0;
    write_text(text, sizeof text - (pairs > 0 ? pairs + 1 : 0), format, ap);

    struct event_seen seen = {
        .wall_ms = wall_clock_ms(),
        .id = row->id,
        .severity = row->severity,
        .pool = pool != NULL ? pool : "",
        .worker = worker,
        .text = text,
        .fields = pairs > 0 ? fields->text : "",
    };
    /* What workers print would push out the events of their lives. */
    if (id != EVENT_WORKER_OUTPUT && events->ring.memory != NULL)
        seen.seq = event_ring_keep(&events->ring, &seen);
    events->emitting = true;
    for (uint32_t i = 0; i < events->sink_count; i++)
        events->sinks[i].fn(events->sinks[i].ctx, &seen);
    events->emitting = false;
}

uint64_t
events_first(const struct events *events)
{
    return events->ring.first;
}

uint64_t
events_next(const struct events *events)
{
    return events->ring.next;
}

bool
events_get(const struct events *events, uint64_t seq, struct event_seen *out)
{
    return event_ring_get(&events->ring, seq, out);
}
