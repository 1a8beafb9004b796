/* rules.c - rules between a pool's keys, and between a pool and what poold may do. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/units.h"
#include "supervisor/load/compile.h"

/* Reports at the key where the pool itself gave it, else at the pool. */
ATTR_PRINTF(4, 5)
static void
rule_broken(struct load *load, const struct draft *draft, const char *path, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    const struct config_key *key = key_find(SCOPE_POOL, path);
    bool is_own = draft->given[key - config_keys].layer == LAYER_POOL;
    struct pointer before = load->pointer;
    if (is_own)
        draft_enter(load, draft, path);
    problem_add(&load->problems, &load->pointer, is_own ? PROBLEM_AT_VALUE : PROBLEM_AT_KEY, "%s",
                text);
    load->pointer = before;
}

static void
check_spans(struct load *load, const struct draft *draft)
{
    const struct pool_settings *settings = &draft->record.settings;
    char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX];
    if (draft_is_right(draft, "failure.delay") && draft_is_right(draft, "failure.delay_max") &&
        settings->failure_delay_ms > settings->failure_delay_max_ms)
        rule_broken(load, draft, "failure.delay", "delay \"%s\" is above delay_max \"%s\"",
                    duration_format(settings->failure_delay_ms, a),
                    duration_format(settings->failure_delay_max_ms, b));
    if (draft_is_right(draft, "ready") && draft_is_right(draft, "health.startup_timeout") &&
        draft->ready.rule == READY_AFTER && draft->ready.after_ms >= settings->startup_timeout_ms)
        rule_broken(load, draft, "ready",
                    "ready after \"%s\" is never reached: health.startup_timeout is \"%s\"",
                    duration_format(draft->ready.after_ms, a),
                    duration_format(settings->startup_timeout_ms, b));
}

/* Without root a hard limit cannot be raised, nor a process be made to come first. */
static void
check_rights(struct load *load, const struct draft *draft)
{
    struct rlimit own;
    for (size_t i = 0; i < POOL_KEY_COUNT && !load->is_root; i++) {
        const struct config_key *key = &config_keys[i];
        size_t first = offsetof(struct draft, limits);
        if (key->member < first || key->member >= first + sizeof draft->limits)
            continue;
        unsigned resource = (unsigned)((key->member - first) / sizeof draft->limits[0]);
        const struct limit_draft *limit = &draft->limits[resource];
        if (limit->is_set && getrlimit((__rlimit_resource_t)resource, &own) == 0 &&
            limit->value > own.rlim_max)
            rule_broken(load, draft, key->path,
                        "poold does not run as root and its own hard limit is %" PRIu64
                        ": no more can be given",
                        (uint64_t)own.rlim_max);
    }
    if (load->is_root || !draft->nice.is_set || getrlimit(RLIMIT_NICE, &own) != 0)
        return;
    int least = 20 - (int)MIN(own.rlim_max, 40u), now = getpriority(PRIO_PROCESS, 0);
    if (draft->nice.value < MIN(least, now))
        rule_broken(load, draft, "limits.nice",
                    "poold does not run as root, so nice cannot be below %d", MIN(least, now));
}

void
rules_check(struct load *load, const struct draft *draft)
{
    if (draft->command == NULL && !draft->is_misnamed && draft_is_right(draft, "command"))
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "\"command\" is missing; a pool needs one, such as [\"/usr/bin/server\"]");
    check_spans(load, draft);
    check_rights(load, draft);
    if (!draft_is_right(draft, "handoff") || !draft_is_right(draft, "listen"))
        return;
    if (draft->record.handoff == HANDOFF_NONE && json_array_size(draft->listen) > 0)
        rule_broken(load, draft, "handoff",
                    "handoff is \"none\", so nobody would accept on the addresses in \"listen\"; "
                    "take one of the two out");
}

void
rules_check_sockets(struct load *load, const struct draft *draft)
{
    bool is_judged = draft_is_right(draft, "handoff") && draft_is_right(draft, "listen") &&
                     draft->record.refused == 0;
    if (is_judged && draft->record.handoff == HANDOFF_STDIN && draft->wants_sockets != 1 &&
        !draft->has_wrong_sockets)
        rule_broken(load, draft, "handoff",
                    "handoff \"stdin\" takes exactly one socket, and \"listen\" comes to %u",
                    draft->wants_sockets);
}
