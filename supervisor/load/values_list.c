/* values_list.c - what a pool's keys say that is not built in, for who compares two loads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "supervisor/load/compile.h"

struct values {
    struct load *load;
    struct buffer list; /* of struct record_value */
    struct buffer text; /* of the one at hand */
};

static void
values_add(struct values *values, size_t key)
{
    buffer_add(&values->text, "", 1);
    values->load->failed = values->load->failed || values->text.failed;
    if (values->text.failed)
        return;
    struct record_value value = {.key = (uint32_t)key,
                                 .text = image_string(&values->load->image, values->text.bytes)};
    buffer_add(&values->list, &value, sizeof value);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The value that the environment gives the variable. */
static const char *
value_of(const struct environment_draft *environment, const char *name)
{
    for (uint32_t i = environment->count; i > 0; i--) {
        const json_t *value = json_object_get(environment->layers[i - 1], name);
        if (value != NULL)
            return json_string_value(value);
    }
    return NULL;
}

/* An entry a variable. Whoever reads the list sees that a value has changed, and not the value. */
static void
add_environment(struct values *values, size_t key, const struct environment_draft *environment)
{
    size_t room = 0, count = 0;
    for (uint32_t i = 0; i < environment->count; i++)
        room += json_object_size(environment->layers[i]);
    const char **names = calloc(room + 1, sizeof *names);
    values->load->failed = values->load->failed || names == NULL;
    for (uint32_t i = 0; i < environment->count && names != NULL; i++) {
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)environment->layers[i], name, value)
        {
            if (!is_comment(name))
                names[count++] = name;
        }
    }
    if (count > 0)
        qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
            continue;
        const char *value = value_of(environment, names[i]);
        values->text.len = 0;
        buffer_add(&values->text, names[i], strlen(names[i]));
        buffer_print(&values->text, "=%016llx",
                     (unsigned long long)hash_mix(hash_bytes(HASH_START, value, strlen(value))));
        values_add(values, key);
    }
    free(names);
}

void
value_list_put(struct load *load, struct draft *draft)
{
    struct values values = {.load = load};
    for (size_t i = 0; i < POOL_KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        if (draft->given[i].value == NULL)
            continue;
        if (key->type == VALUE_ENVIRONMENT) {
            add_environment(&values, i, &draft->environment);
            continue;
        }
        values.text.len = 0;
        canonical_put(&values.text, key, draft->given[i].value);
        const char *built_in = load->built_in_texts[i];
        if (built_in == NULL || strlen(built_in) != values.text.len ||
            memcmp(built_in, values.text.bytes, values.text.len) != 0)
            values_add(&values, i);
    }
    draft->record.value_count = (uint32_t)(values.list.len / sizeof(struct record_value));
    draft->record.values = image_bytes(&load->image, values.list.bytes, values.list.len, 4);
    load->failed = load->failed || values.list.failed;
    buffer_fini(&values.list);
    buffer_fini(&values.text);
}
