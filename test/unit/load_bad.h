/* load_bad.h - what a bad configuration is told, word by word. */
#ifndef POOLD_TEST_LOAD_BAD_H
#define POOLD_TEST_LOAD_BAD_H

#include "test/unit/load_helper.h"

/* A bad text, and the whole of what is said about it. */
struct bad {
    const char *text;
    const char *errors;
};

/* A pool whose members stand in line 2, from column 2; POOL_AT is what is said about them. "@"
 * stands for what a pool needs to say about its user. */
#define POOL(members) "{\"pools\": {\"p\":\n{" members ",\n\"command\": [\"/x\"], @}}}"

#define POOL_AT(column, pointer, what) "c.json:2:" column ": /pools/p" pointer ": " what "\n"

/* The text with "@" replaced. */
static inline char *
with_identity(const char *text)
{
    size_t size = strlen(text) + 256, at = 0;
    char *out = calloc(1, size);
    assert_non_null(out);
    for (; *text != '\0'; text++) {
        bool is_mark = *text == '@' && text[1] == '}';
        at += (size_t)snprintf(out + at, size - at, is_mark ? "%s" : "%.1s",
                               is_mark ? identity() : text);
    }
    return out;
}

static inline void
expect_bad(const struct bad *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *text = with_identity(list[i].text);
        struct compiled compiled = compile(text);
        assert_string_equal(compiled.errors, list[i].errors);
        compiled_fini(&compiled);
        free(text);
    }
}
#define EXPECT_BAD(list) expect_bad(list, sizeof(list) / sizeof((list)[0]))

#endif
