/* load_helper.h - compiling a configuration from a string, for tests of the loader. */
#ifndef POOLD_TEST_LOAD_HELPER_H
#define POOLD_TEST_LOAD_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/load/load.h"
#include "supervisor/record.h"

struct compiled {
    struct load_result result;
    struct record record;
    const char *errors; /* "": none */
    const char *warnings;
};

/* Compiles len bytes as the file "c.json"; what comes out passes record_open. */
static inline struct compiled
compile_bytes(const char *text, size_t len)
{
    struct load_options options = {.config = "c.json"};
    struct compiled out = {.errors = ""};
    struct err err;
    assert_int_equal(load_compile_text(&options, text, len, &out.result, &err), 0);
    assert_int_equal(record_open(&out.record, out.result.image, out.result.size), 0);
    if (out.record.header->errors > 0)
        out.errors = out.record.text;
    out.warnings = record_text(&out.record, out.record.header->warning_text);
    return out;
}

static inline struct compiled
compile(const char *text)
{
    return compile_bytes(text, strlen(text));
}

static inline void
compiled_fini(struct compiled *compiled)
{
    load_result_fini(&compiled->result);
}

/* What a pool of these tests needs to name, as root and else, in front of its other keys. */
static inline const char *
identity(void)
{
    return geteuid() == 0 ? "\"identity\": {\"user\": \"root\"}" : "\"identity\": {}";
}

/* Compiles one pool "p" that runs /bin/true with these members added. */
static inline struct compiled
compile_pool(const char *members)
{
    char text[8192];
    int len =
        snprintf(text, sizeof text, "{\"pools\": {\"p\": {\"command\": [\"/bin/true\"], %s%s%s}}}",
                 identity(), members[0] == '\0' ? "" : ", ", members);
    assert_true(len > 0 && len < (int)sizeof text);
    return compile(text);
}

/* The only pool of a configuration without errors. */
static inline const struct record_pool *
good_pool(const struct compiled *compiled)
{
    assert_string_equal(compiled->errors, "");
    assert_int_equal(compiled->record.header->pools, 1);
    return &compiled->record.pools[0];
}

/* The pool with these members is refused with these words, and nothing else. */
static inline void
expect_refused(const char *members, const char *want)
{
    struct compiled compiled = compile_pool(members);
    if (strstr(compiled.errors, want) == NULL)
        fail_msg("%s\ngives: %s\nand not: %s", members, compiled.errors, want);
    assert_int_equal(compiled.record.header->errors, 1);
    compiled_fini(&compiled);
}

/* String number index of a list in the record. */
static inline const char *
string_at(const struct record *record, const struct record_strings *list, uint32_t index)
{
    assert_true(index < list->count);
    const char *string = record_text(record, list->at);
    while (index-- > 0)
        string += strlen(string) + 1;
    return string;
}

/* The value of an environment variable in the record, or NULL. */
static inline const char *
variable(const struct record *record, const struct record_pool *pool, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t i = 0; i < pool->env.count; i++) {
        const char *entry = string_at(record, &pool->env, i);
        if (strncmp(entry, name, len) == 0 && entry[len] == '=')
            return entry + len + 1;
    }
    return NULL;
}

#endif
