/* control_loop.c - how long the engine's loop was held, as server.status tells it. */
#include "supervisor/engine/control_parts.h"

/* Microseconds, so that json_out_seconds writes milliseconds. */
static void
milliseconds(struct json_out *out, const char *key, uint64_t ns)
{
    json_out_seconds(out, key, ns / 1000);
}

static void
spans_describe(struct json_out *out, const char *key, const struct hold_spans *spans)
{
    json_out_open(out, key, '{');
    milliseconds(out, "p50_ms", hold_spans_share(spans, 500));
    milliseconds(out, "p99_ms", hold_spans_share(spans, 990));
    milliseconds(out, "p999_ms", hold_spans_share(spans, 999));
    milliseconds(out, "max_ms", spans->max_ns);
    json_out_open(out, "steps", '['); /* they add up, and can be subtracted: p99 cannot */
    for (uint32_t i = 0; i < HOLD_STEPS; i++) {
        if (spans->steps[i] == 0)
            continue;
        json_out_open(out, NULL, '[');
        milliseconds(out, NULL, i == HOLD_STEPS - 1 ? spans->max_ns : hold_step_limit(i));
        json_out_number(out, NULL, spans->steps[i]);
        json_out_close(out, ']');
    }
    json_out_close(out, ']');
    json_out_close(out, '}');
}

void
loop_describe(struct json_out *out, struct io *io)
{
    json_out_open(out, "loop", '{');
    for (enum hold_kind kind = 0; kind < HOLD_KIND_COUNT; kind++) {
        const struct hold *hold = io_hold(io, kind);
        json_out_open(out, hold_kind_name(kind), '{');
        json_out_number(out, "count", (int64_t)hold->wall.count);
        spans_describe(out, "held", &hold->wall);
        spans_describe(out, "cpu", &hold->cpu);
        json_out_close(out, '}');
    }
    json_out_close(out, '}');
}
