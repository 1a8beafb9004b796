/* syntax.c - from the text of a file to its tree, with every duplicate key reported. */
#include "supervisor/load/syntax.h"

#include <string.h>

#include "common/json.h"
#include "common/text.h"

struct duplicates {
    struct load *load;
    const char *text;
    size_t len;
    struct map seen; /* member -> offset of its key */
};

/* The key at offset, in its quotes, as the file writes it. */
static size_t
key_length(const char *text, size_t len, size_t offset)
{
    size_t end = offset + 1;
    while (end < len && text[end] != '"')
        end += text[end] == '\\' ? 2 : 1;
    return MIN(end + 1, len) - offset;
}

static void
check_duplicate(const struct json_node *node, void *arg)
{
    struct duplicates *duplicates = arg;
    struct load *load = duplicates->load;
    if (node->member == 0)
        return;
    const uint64_t *first = map_find(&duplicates->seen, node->member);
    if (first == NULL) {
        if (map_put(&duplicates->seen, node->member, node->key.offset) != 0)
            load->failed = true;
        return;
    }
    struct json_place place = json_place_of(duplicates->text, duplicates->len, (size_t)*first);
    char key[TEXT_WORD_MAX + 8];
    text_escape(key, sizeof key, duplicates->text + node->key.offset,
                key_length(duplicates->text, duplicates->len, node->key.offset));
    problem_add_place(&load->problems, NULL, node->key,
                      "the key %s is there already, at line %u, column %u", key, place.line,
                      place.column);
}

static void
report_duplicates(struct load *load, const char *text, size_t len)
{
    struct duplicates duplicates = {.load = load, .text = text, .len = len};
    json_scan(text, len, check_duplicate, &duplicates);
    map_fini(&duplicates.seen);
}

json_t *
syntax_parse(struct load *load, const char *text, size_t len)
{
    struct json_failure failure;
    json_t *tree = json_parse(text, len, false, &failure);
    if (tree == NULL && failure.fault == JSON_FAULT_DUPLICATE) {
        report_duplicates(load, text, len);
        tree = json_parse(text, len, true, &failure);
    }
    if (tree == NULL) {
        char what[256];
        text_escape(what, sizeof what, failure.text, strlen(failure.text));
        struct json_place place = {
            .offset = failure.offset, .line = failure.line, .column = failure.column};
        problem_add_place(&load->problems, NULL, place, "%s", what);
    }
    return tree;
}
