/* refuse.c - what is said about a value that a key does not allow. */
#include "common/text.h"
#include "supervisor/load/compile.h"

void
value_refuse(struct load *load, const struct config_key *key, const json_t *value)
{
    char found[JSON_FOUND_MAX], allowed[KEY_ALLOWED_MAX];
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "found %s, but %s is needed%s",
                json_found(value, found), key_allowed(key, allowed),
                json_is_null(value) ? " (leave the key out for its default)" : "");
}

bool
value_refuse_range(struct load *load, const struct config_key *key, const json_t *value)
{
    char found[JSON_FOUND_MAX], allowed[KEY_ALLOWED_MAX];
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                "found %s, but %s is needed (%s)", json_found(value, found),
                key_allowed(key, allowed), key->text);
    return false;
}

bool
value_refuse_near(struct load *load, const struct config_key *key, const json_t *value,
                  const struct text_nearest *nearest)
{
    char found[JSON_FOUND_MAX], allowed[KEY_ALLOWED_MAX];
    if (nearest->best[0] == '\0') {
        value_refuse(load, key, value);
        return false;
    }
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                "found %s, but %s is needed; did you mean \"%s\"?", json_found(value, found),
                key_allowed(key, allowed), nearest->best);
    return false;
}

bool
value_check_string(struct load *load, const json_t *value)
{
    char found[JSON_FOUND_MAX];
    if (json_is_string(value))
        return true;
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                "found %s, but a string is needed", json_found(value, found));
    return false;
}
