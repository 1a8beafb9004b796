/* events.h - what an operator must be able to see: one catalogue, one ring, any number of sinks.
 *
 * An event gets a 64-bit sequence number, is kept in the ring of the last EVENTS_RING (which lies
 * in the state memfd and outlives the engine), and is handed to every sink at once; no sink
 * blocks. */
#ifndef POOLD_ENGINE_EVENTS_H
#define POOLD_ENGINE_EVENTS_H

#include <stdarg.h>

#include "common/base.h"
#include "common/err.h"

#define EVENTS_RING    4096u
#define EVENT_LINE_MAX 1024u /* longest text with fields that a sink is given */

enum event_severity { EVENT_ERR = 3, EVENT_WARNING = 4, EVENT_NOTICE = 5, EVENT_INFO = 6 };

/* events.def: X(number, NAME, "name", SEVERITY, "fields", "when it fires") */
#define EVENT_ID_(number, NAME, name, severity, fields, when) EVENT_##NAME = number,
enum event_id {
#define X EVENT_ID_
#include "supervisor/engine/events.def"
#undef X
};

struct event_row {
    uint16_t id;
    uint8_t severity;
    const char *name, *fields, *when;
};
/* The catalogue in order of number. NULL for a number that is not in it. */
const struct event_row *event_row(uint16_t id);
const struct event_row *event_rows(size_t *out_count);
const char *event_severity_name(uint8_t severity);

/* key=value pairs of one event, in the order they are added; start with {0}. Values of strings are
 * escaped (again changes nothing), and quoted where they hold a space, are empty or look like a
 * number; a double quote in them becomes \x22, so a quoted value ends at the next quote. A value
 * that does not fit is cut with "...", a pair of which too little would be left is left out: put
 * what matters first and the text of a worker last. Keys are literals of ours. */
struct event_fields {
    uint16_t len;
    char text[510];
};
void fields_number(struct event_fields *, const char *key, int64_t value);
void fields_seconds(struct event_fields *, const char *key, msec value); /* 1.234 */
void fields_string(struct event_fields *, const char *key, const char *value);

/* Reads the pairs of event_seen.fields: takes one from *at and moves it on; false at the end. Key
 * and value lie in the text (not NUL-terminated), the value without its quotes. */
struct field_pair {
    const char *key, *value;
    size_t key_len, value_len;
    bool quoted;
};
bool fields_next(const char **at, struct field_pair *out);
/* Whether it was written as a number; it may stand in JSON as it is then. */
bool field_is_number(const struct field_pair *);

/* One event as sinks see it. Borrowed for the call. */
struct event_seen {
    uint64_t seq;    /* 0: not kept in the ring (worker-output, or there is no ring) */
    int64_t wall_ms; /* wall clock, for people */
    uint16_t id;
    uint8_t severity;
    const char *pool;        /* name, "" without */
    struct worker_id worker; /* generation 0: none */
    const char *text;        /* printable, one line; cut ones end with "..." */
    const char *fields;      /* "key=value key=value"; "" without. Cut values end with "..." */
};

/* How much of an event's text and of its fields fits into room bytes: whole if it fits; else fields
 * get what text leaves but at least half: whole pairs, and of the string that does not fit what
 * does. Writes the fields (room + 1 bytes) and returns their length. Cut text must end with a mark
 * (text_cut). */
size_t event_fit(const struct event_seen *, size_t room, char *fields, size_t *out_text);

struct events;
typedef void event_sink_fn(void *ctx, const struct event_seen *);

/* ring: events_ring_size() bytes, zeroed or left by an engine before (what does not look like a
 * ring is emptied); borrowed until destroy. NULL: no event is kept, and none has a number. */
size_t events_ring_size(void);
int events_create(struct events **out, void *ring, struct err *err);
void events_destroy(struct events **);

/* At most EVENT_SINKS_MAX sinks. Called in the order they were added; a sink must not emit.
 * Removing one that is not there is a bug. */
#define EVENT_SINKS_MAX 8u
void events_sink_add(struct events *, event_sink_fn *, void *ctx);
void events_sink_remove(struct events *, event_sink_fn *, void *ctx);

/* Emits one event. pool: its name or NULL; worker: generation 0 for none; fields may be NULL. Text
 * is a format of ours; strings in it that come from outside should have gone through text_escape,
 * which marks where they are cut (the whole text goes through it in any case). */
void events_emit(struct events *, enum event_id, const char *pool, struct worker_id worker,
                 const struct event_fields *fields, const char *format, ...) ATTR_PRINTF(6, 7);
void events_vemit(struct events *, enum event_id, const char *pool, struct worker_id worker,
                  const struct event_fields *fields, const char *format, va_list ap)
    ATTR_PRINTF(6, 0);

/* The ring: sequence numbers first..next-1 are there (as kept: text and fields may be cut).
 * events_get returns false where seq is not in it; what out points to is borrowed until the next
 * events_emit. */
uint64_t events_first(const struct events *);
uint64_t events_next(const struct events *);
bool events_get(const struct events *, uint64_t seq, struct event_seen *out);

#endif
