/* sink_inside.h - what the kinds of sinks share: counting what was not taken, and saying so. */
#ifndef POOLD_ENGINE_SINK_INSIDE_H
#define POOLD_ENGINE_SINK_INSIDE_H

#include "supervisor/engine/sinks.h"

#define SINK_FACILITY 3u    /* daemon, while nobody says another one */
#define SINK_LEVEL    7u    /* debug: everything */
#define SINK_RETRY_MS 1000u /* between attempts to connect, and to say what was dropped */
#define SINK_LINE_MAX                                                                              \
    2048u /* EVENT_LINE_MAX and what stands around it; RFC 5424 6.1 asks as much */

/* The kinds. All return at once, whatever the world does. */
struct sink_kind {
    int (*take)(struct sink *, const struct event_seen *); /* 0: taken, else a negative errno */
    bool (*is_ready)(struct sink *);                       /* whether a line would be taken now */
    void (*destroy)(struct sink *);
};

/* The head of every kind of sink. */
struct sink {
    const struct sink_kind *kind;
    struct events *events; /* borrowed until destroy */
    char name[108];        /* for messages */
    unsigned facility, level;
    uint64_t dropped;      /* and not yet told */
    int64_t dropped_since; /* wall clock, ms */
    int dropped_why;       /* the last errno */
    msec due_at;           /* MSEC_NEVER: nothing to say */
    bool telling;          /* the event being taken is the one that tells dropped */
    bool told;
};

/* Begins to take events. */
void sink_begin(struct sink *, const struct sink_kind *, struct events *, const char *name);

/* One line in the making; what does not fit is left out. */
struct sink_line {
    char text[SINK_LINE_MAX];
    size_t len;
};
void line_add(struct sink_line *, const char *format, ...) ATTR_PRINTF(2, 3);
void line_put(struct sink_line *, const char *text); /* the same, of text as it is */
/* "shop/0.3: ", "shop: " or nothing. */
void line_add_subject(struct sink_line *, const struct event_seen *);

/* 2026-11-22T12:00:00+01:00 */
#define SINK_TIME_MAX 32u
void sink_time(char buf[SINK_TIME_MAX], int64_t wall_ms);

#endif
