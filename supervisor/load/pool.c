/* pool.c - one pool, from its keys to its records. */
#include "supervisor/load/pool.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/load/compile.h"

bool
pool_name_is_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return len >= 1 && len <= 64 && name[len] == '\0' && strchr("._-", name[0]) == NULL;
}

/* The preset that counts for the pool, its own or an inherited one, over what it inherits. */
static void
take_preset(struct load *load, struct draft *draft, const json_t *object)
{
    enum preset preset = (enum preset)draft->preset;
    const json_t *own = json_object_get(object, "preset");
    if (own != NULL)
        preset = json_is_string(own) ? preset_find(json_string_value(own)) : PRESET_NONE;
    preset_take(load, preset, draft);
}

static void
put_limits(struct load *load, struct draft *draft)
{
    struct record_limit limits[RLIM_NLIMITS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < RLIM_NLIMITS; i++) {
        const struct limit_draft *limit = &draft->limits[i];
        if (limit->is_set)
            limits[count++] =
                (struct record_limit){.resource = i, .soft = limit->value, .hard = limit->value};
    }
    draft->record.limit_count = count;
    draft->record.limits = image_bytes(&load->image, limits, count * sizeof limits[0], 4);
    draft->record.set_nice = draft->nice.is_set;
    draft->record.nice = draft->nice.value;
    draft->record.set_oom_score_adjust = draft->oom_score_adjust.is_set;
    draft->record.oom_score_adjust = draft->oom_score_adjust.value;
}

/* What has to be looked up outside the file. */
static void
resolve(struct load *load, struct draft *draft, const char *name, uint32_t place)
{
    const struct identity *identity = identity_resolve(load, draft);
    const char *path = environment_resolve(load, draft, identity);
    programs_resolve(load, draft, path);
    listen_resolve(load, draft, name, place, identity);
    output_resolve(load, draft);
    if (identity == NULL)
        return;
    struct record_pool *record = &draft->record;
    record->uid = identity->uid;
    record->gid = identity->gid;
    record->groups = identity->groups;
    record->group_count = identity->group_count;
    record->user = image_string(&load->image, identity->user);
}

/* In order, each once. */
static void
put_schedule(struct load *load, struct draft *draft)
{
    uint16_t minutes[SCHEDULE_MAX];
    uint32_t count = 0;
    size_t index;
    json_t *time;
    json_array_foreach(draft->schedule, index, time)
    {
        uint32_t at = 0, minute = minute_parse(time);
        while (at < count && minutes[at] < minute)
            at++;
        if (at < count && minutes[at] == minute)
            continue;
        memmove(&minutes[at + 1], &minutes[at], (count - at) * sizeof minutes[0]);
        minutes[at] = (uint16_t)minute;
        count++;
    }
    draft->record.schedule = image_bytes(&load->image, minutes, count * sizeof minutes[0], 4);
    draft->record.schedule_count = count;
}

static void
finish_settings(struct draft *draft)
{
    struct pool_settings *settings = &draft->record.settings;
    settings->workers_max = settings->workers_min;
    settings->surge = MIN(settings->surge, settings->workers_max);
    settings->ready = (uint8_t)draft->ready.rule;
    settings->ready_after_ms = draft->ready.after_ms;
    settings->has_sockets = draft->record.socket_count > 0;
    settings->refused = draft->record.refused != 0;
}

/* Every pool has its own copy of what no other has, however much of it is inherited. */
static void
refuse_full(struct load *load, const char *name)
{
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                "with \"%s\" the commands and environments of all pools come to more than %u MiB; "
                "shorten what many pools inherit",
                name, IMAGE_TEXT_MAX >> 20);
}

/* The record, complete, at its place; what is found wrong by now is wrong for good. */
static void
put_record(struct load *load, struct draft *draft, const char *name, uint32_t place)
{
    struct image *image = &load->image;
    draft->record.name = image_string(image, name);
    draft->record.directory = image_string(image, draft->directory);
    put_limits(load, draft);
    put_schedule(load, draft);
    value_list_put(load, draft);
    finish_settings(draft);
    draft->record.shuts_sockets = place_shuts_sockets(load, place);
    if (image->is_full) {
        refuse_full(load, name);
        return;
    }
    if (image->failed || image->text.failed || image->sockets.failed || image->pools.failed) {
        load->failed = true;
        return;
    }
    draft->record.settings.fingerprint = fingerprint_of(load, &draft->record);
    memcpy(image->pools.bytes + place * sizeof draft->record, &draft->record, sizeof draft->record);
}

void
pool_compile(struct load *load, const struct draft *base, const char *name, uint32_t place,
             const json_t *object)
{
    struct draft draft;
    memcpy(&draft, base, sizeof draft);
    draft.is_misnamed = !pool_name_is_valid(name);
    take_preset(load, &draft, object);
    draft_take_object(load, &draft, LAYER_POOL, object);
    rules_check(load, &draft);
    resolve(load, &draft, name, place);
    rules_check_sockets(load, &draft);
    if (place != NONE && load->problems.count == 0 && !load->failed)
        put_record(load, &draft, name, place);
}
