/* json.c - reading JSON that strangers wrote: within a memory budget, strictly, to a depth. */
#include "common/json.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/json_scan.h"
#include "common/text.h"

/* jansson's allocator is one for the process, so its budget is too. */
static struct {
    bool active;
    size_t left;
    json_malloc_t malloc_before;
    json_free_t free_before;
} budget;

static void *
budget_malloc(size_t size)
{
    if (size > budget.left)
        return NULL;
    void *p = malloc(size);
    if (p == NULL)
        return NULL;
    size_t usable = malloc_usable_size(p);
    budget.left -= MIN(usable, budget.left);
    return p;
}

static void
budget_free(void *p)
{
    budget.left += malloc_usable_size(p);
    free(p);
}

void
json_setup(void)
{
    size_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = 0; /* too early after boot: jansson looks for a seed itself */
    json_object_seed(seed);
}

void
json_budget_begin(size_t bytes)
{
    assert(!budget.active);
    json_get_alloc_funcs(&budget.malloc_before, &budget.free_before);
    budget.active = true;
    budget.left = bytes;
    json_set_alloc_funcs(budget_malloc, budget_free);
}

void
json_budget_end(void)
{
    assert(budget.active);
    json_set_alloc_funcs(budget.malloc_before, budget.free_before);
    budget.active = false;
}

/* jansson's parser ends at 2048 levels, so this recursion does too. */
static bool
depth_is_above(const json_t *value, unsigned levels)
{
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (levels == 0)
        return true;
    size_t index;
    json_t *element;
    json_array_foreach(value, index, element)
    {
        if (depth_is_above(element, levels - 1))
            return true;
    }
    for (void *iter = json_object_iter((json_t *)(uintptr_t)value); iter != NULL;
         iter = json_object_iter_next((json_t *)(uintptr_t)value, iter)) {
        if (depth_is_above(json_object_iter_value(iter), levels - 1))
            return true;
    }
    return false;
}

/* jansson points behind the token that it did not like, and says it at the end of its text; an
 * operator wants to see its first character. */
static size_t
token_start(const char *text, size_t len, const json_error_t *error)
{
    size_t end = error->position < 0 ? 0 : MIN((size_t)error->position, len);
    const char *near = strstr(error->text, " near '");
    if (near == NULL)
        return end;
    near += strlen(" near '");
    size_t token = strlen(near);
    if (token < 2 || near[token - 1] != '\'' || token - 1 > end)
        return end;
    token--;
    return memcmp(text + end - token, near, token) == 0 ? end - token : end;
}

static void
failure_at(struct json_failure *failure, const char *text, size_t len, size_t offset)
{
    struct json_place place = json_place_of(text, len, offset);
    failure->offset = offset;
    failure->line = place.line;
    failure->column = place.column;
}

/* jansson ends at the bracket behind a comma; what is wrong is the comma. */
static bool
is_behind_comma(const char *text, size_t offset)
{
    if (text[offset] != '}' && text[offset] != ']')
        return false;
    while (offset > 0 && strchr(" \t\r\n", text[offset - 1]) != NULL)
        offset--;
    return offset > 0 && text[offset - 1] == ',';
}

/* What jansson says, but for what only its own callers would understand. */
static void
explain(struct json_failure *failure, const char *text, size_t len, const json_error_t *error)
{
    const char *what = error->text, *hint = "";
    enum json_error_code code = json_error_code(error);
    if (code == json_error_null_character || code == json_error_null_byte_in_key)
        what = "a string may not hold \\u0000";
    else if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        what = "begins with a byte order mark; take it out";
    else if (failure->offset < len && is_behind_comma(text, failure->offset))
        hint = "; is there a comma too many?";
    snprintf(failure->text, sizeof failure->text, "%s%s", what, hint);
}

static void
failure_of_parser(struct json_failure *failure, const char *text, size_t len,
                  const json_error_t *error)
{
    /* jansson leaves the text empty when an allocation failed. */
    if (error->text[0] == '\0' || json_error_code(error) == json_error_out_of_memory) {
        failure->fault = JSON_FAULT_MEMORY;
        snprintf(failure->text, sizeof failure->text, "the document needs too much memory");
        return;
    }
    failure->fault = json_error_code(error) == json_error_stack_overflow  ? JSON_FAULT_DEPTH
                     : json_error_code(error) == json_error_duplicate_key ? JSON_FAULT_DUPLICATE
                                                                          : JSON_FAULT_SYNTAX;
    failure_at(failure, text, len, token_start(text, len, error));
    explain(failure, text, len, error);
}

json_t *
json_parse(const char *text, size_t len, bool duplicates_pass, struct json_failure *failure)
{
    *failure = (struct json_failure){.fault = JSON_FAULT_NONE};
    json_error_t error = {.text = ""};
    size_t flags = JSON_DECODE_ANY | (duplicates_pass ? 0 : JSON_REJECT_DUPLICATES);
    json_t *tree = json_loadb(text, len, flags, &error);
    if (tree == NULL) {
        failure_of_parser(failure, text, len, &error);
    } else if (depth_is_above(tree, JSON_DEPTH_MAX)) {
        json_decref(tree);
        tree = NULL;
        failure->fault = JSON_FAULT_DEPTH;
    }
    if (failure->fault == JSON_FAULT_DEPTH) {
        snprintf(failure->text, sizeof failure->text, "nested more than %d levels deep",
                 JSON_DEPTH_MAX);
        failure_at(failure, text, len, json_scan(text, len, NULL, NULL));
    }
    return tree;
}

const char *
json_found(const json_t *value, char buf[JSON_FOUND_MAX])
{
    char text[72];
    switch (json_typeof(value)) {
    case JSON_STRING:
        text_escape(text, sizeof text, json_string_value(value), json_string_length(value));
        snprintf(buf, JSON_FOUND_MAX, "the string \"%s\"", text);
        return buf;
    case JSON_INTEGER:
        snprintf(buf, JSON_FOUND_MAX, "the number %" JSON_INTEGER_FORMAT,
                 json_integer_value(value));
        return buf;
    case JSON_REAL:
        snprintf(text, sizeof text, "%.15g", json_real_value(value));
        /* 1.0 must not look like the integer that it is not. */
        snprintf(buf, JSON_FOUND_MAX, "the number %s%s", text,
                 text[strcspn(text, ".e")] == '\0' ? ".0" : "");
        return buf;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    case JSON_ARRAY:
        return json_array_size(value) == 0 ? "an empty array" : "an array";
    case JSON_OBJECT:
        return json_object_size(value) == 0 ? "an empty object" : "an object";
    }
    return "no value";
}
