/* value_limits.c - the values of `limits`: numbers with signs, and resource limits. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "supervisor/load/compile.h"
#include "supervisor/load/rights.h"

/* What poold itself cannot have its workers cannot have, unless it may raise it. */
static bool
refuse_right(struct load *load, const json_t *value, const char *own, const char *capability)
{
    char found[JSON_FOUND_MAX];
    problem_add(
        &load->problems, &load->pointer, PROBLEM_AT_VALUE,
        "found %s, but poold was started with %s and may not go beyond it without %s; start "
        "it with more or write less",
        json_found(value, found), own, capability);
    return false;
}

bool
value_take_signed(struct load *load, const struct config_key *key, const json_t *value,
                  struct signed_draft *out)
{
    if (!json_is_integer(value)) {
        value_refuse(load, key, value);
        return false;
    }
    json_int_t number = json_integer_value(value);
    if (number < (int64_t)key->least || number > (int64_t)key->most)
        return value_refuse_range(load, key, value);
    bool nice = key->member == offsetof(struct draft, nice);
    int32_t least = 0;
    char own[32];
    if (nice ? !rights_give_nice((int32_t)number, &least)
             : !rights_give_oom_score((int32_t)number, &least)) {
        snprintf(own, sizeof own, "%d", least);
        return refuse_right(load, value, own, nice ? "CAP_SYS_NICE" : "CAP_SYS_RESOURCE");
    }
    *out = (struct signed_draft){.value = (int32_t)number, .is_set = true};
    return true;
}

/* What the value says, in the unit of the file: bytes, a number, milliseconds. */
static int
parse_limit(const struct config_key *key, const json_t *value, uint64_t *out)
{
    struct err err;
    if (key->type == VALUE_LIMIT_COUNT) {
        if (!json_is_integer(value))
            return -EINVAL;
        *out = (uint64_t)json_integer_value(value);
        return json_integer_value(value) < 0 ? -ERANGE : 0;
    }
    if (!json_is_string(value))
        return -EINVAL;
    return key->type == VALUE_LIMIT_SIZE ? size_parse(json_string_value(value), out, &err)
                                         : duration_parse(json_string_value(value), out, &err);
}

/* The kernel counts CPU time in seconds, and that of real-time processes in microseconds. */
static bool
limit_in_kernel_units(const struct config_key *key, uint64_t *value)
{
    if (key->type != VALUE_LIMIT_TIME)
        return true;
    if (key->member == offsetof(struct draft, limits[RLIMIT_CPU])) {
        bool whole = *value % 1000 == 0;
        *value /= 1000;
        return whole;
    }
    *value *= 1000;
    return true;
}

/* Refuses what is above poold's own hard limit, when it may not raise that. */
static bool
check_right(struct load *load, const struct config_key *key, const json_t *value, uint64_t limit)
{
    uint32_t resource =
        (uint32_t)((key->member - offsetof(struct draft, limits)) / sizeof(struct limit_draft));
    uint64_t most = 0;
    char own[64], size[UNIT_TEXT_MAX];
    if (rights_give_limit(resource, limit, &most))
        return true;
    if (key->type == VALUE_LIMIT_SIZE)
        snprintf(own, sizeof own, "%s", size_format(most, size));
    else
        snprintf(own, sizeof own, "%" PRIu64 "%s", most,
                 resource == RLIMIT_CPU      ? " s"
                 : resource == RLIMIT_RTTIME ? " us"
                                             : "");
    return refuse_right(load, value, own, "CAP_SYS_RESOURCE");
}

bool
value_take_limit(struct load *load, const struct config_key *key, const json_t *value,
                 struct limit_draft *out)
{
    uint64_t limit = 0;
    bool unlimited = json_is_string(value) && strcmp(json_string_value(value), "unlimited") == 0;
    int r = unlimited ? 0 : parse_limit(key, value, &limit);
    if (r == -EINVAL) {
        value_refuse(load, key, value);
        return false;
    }
    if (r != 0 || (!unlimited && (limit < key->least || limit > key->most ||
                                  !limit_in_kernel_units(key, &limit))))
        return value_refuse_range(load, key, value);
    limit = unlimited ? RLIM_INFINITY : limit;
    if (!check_right(load, key, value, limit))
        return false;
    *out = (struct limit_draft){.value = limit, .is_set = true};
    return true;
}
