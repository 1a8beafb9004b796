/* value_limits.c - the values of `limits`: numbers with signs, and resource limits. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "supervisor/load/compile.h"

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
    *out = (struct limit_draft){.value = unlimited ? RLIM_INFINITY : limit, .is_set = true};
    return true;
}
