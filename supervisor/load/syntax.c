/* syntax.c - from the text of a file to its tree, with every duplicate key reported. */
#include "supervisor/load/syntax.h"

#include <string.h>

#include "common/json.h"
#include "common/text.h"

struct duplicates {
    struct load *load;
    uint32_t file;
    const char *text;
    size_t len;
    struct map seen;                            /* member -> line and column of its key */
    struct json_node above[JSON_DEPTH_MAX + 1]; /* the value at hand and what it is in, by depth */
};

/* The key of a member as the file writes it, without its quotes. */
static void
copy_key(const struct duplicates *duplicates, const struct json_node *node,
         char key[TEXT_WORD_MAX + 1])
{
    size_t start = node->key.offset + 1, end = start;
    while (end < duplicates->len && duplicates->text[end] != '"')
        end += duplicates->text[end] == '\\' ? 2 : 1;
    size_t len = MIN(MIN(end, duplicates->len) - start, TEXT_WORD_MAX);
    memcpy(key, duplicates->text + start, len);
    key[len] = '\0';
}

/* The JSON pointer of the value at hand. */
static void
point(const struct duplicates *duplicates, unsigned depth, struct pointer *pointer)
{
    char key[TEXT_WORD_MAX + 1];
    pointer_init(pointer, duplicates->file);
    for (unsigned i = 1; i <= depth; i++) {
        const struct json_node *node = &duplicates->above[i];
        if (node->member != 0) {
            copy_key(duplicates, node, key);
            pointer_enter_member(pointer, key);
        } else {
            pointer_enter_element(pointer, node->index);
        }
    }
}

static uint64_t
place_packed(struct json_place place)
{
    return (uint64_t)place.line << 32 | place.column;
}

static void
check_duplicate(const struct json_node *node, void *arg)
{
    struct duplicates *duplicates = arg;
    struct load *load = duplicates->load;
    duplicates->above[node->depth] = *node;
    if (node->member == 0)
        return;
    const uint64_t *first = map_find(&duplicates->seen, node->member);
    if (first == NULL) {
        if (map_put(&duplicates->seen, node->member, place_packed(node->key)) != 0)
            load->failed = true;
        return;
    }
    struct pointer pointer;
    point(duplicates, node->depth, &pointer);
    problem_add_place(&load->problems, &pointer, node->key,
                      "the key is there already, at line %u, column %u", (unsigned)(*first >> 32),
                      (unsigned)(*first & UINT32_MAX));
}

static void
report_duplicates(struct load *load, uint32_t file, const char *text, size_t len)
{
    struct duplicates duplicates = {.load = load, .file = file, .text = text, .len = len};
    json_scan(text, len, check_duplicate, &duplicates);
    map_fini(&duplicates.seen);
}

static bool
is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (memchr(" \t\r\n", text[i], 4) == NULL)
            return false;
    }
    return true;
}

static void
report_failure(struct load *load, uint32_t file, const char *text, size_t len,
               const struct json_failure *failure)
{
    struct pointer pointer;
    pointer_init(&pointer, file);
    char what[256];
    struct json_place place = {
        .offset = failure->offset, .line = failure->line, .column = failure->column};
    text_escape(what, sizeof what, failure->text, strlen(failure->text));
    problem_add_place(&load->problems, &pointer, place, "%s",
                      is_blank(text, len) ? "there is nothing in it" : what);
}

json_t *
syntax_parse(struct load *load, uint32_t file, const char *text, size_t len)
{
    struct json_failure failure;
    json_t *tree = json_parse(text, len, false, &failure);
    if (tree == NULL && failure.fault == JSON_FAULT_DUPLICATE) {
        report_duplicates(load, file, text, len);
        tree = json_parse(text, len, true, &failure);
    }
    if (tree == NULL)
        report_failure(load, file, text, len, &failure);
    return tree;
}
