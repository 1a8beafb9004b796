/* tell_inside.h - the story of one event, shared by tell.c (workers and pools) and tell_recycle.c (why
 * workers are replaced, and how that ended). Nobody else includes it. */
#ifndef POOLD_ENGINE_TELL_INSIDE_H
#define POOLD_ENGINE_TELL_INSIDE_H

#include "supervisor/engine/tell.h"

#define SPAN_TEXT 32

/* What is gathered for one event before it is emitted. */
struct story {
    struct shell *shell;
    const struct action *action;
    struct shell_worker worker;
    struct event_fields fields;
    const char *last; /* the worker's last line of output, "" without */
};

void story_emit(struct story *, enum event_id, const char *format, ...) ATTR_PRINTF(3, 4);

/* Events 1074 to 1080, 1093, 1117 and 6022. */
void tell_recycle(struct story *);

#endif
