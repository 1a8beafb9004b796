/* problem.c - the errors of one load: each with its place in the file, all of them at once. */
#include "supervisor/load/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/map.h"
#include "common/text.h"
#include "supervisor/load/load.h"

void
pointer_init(struct pointer *pointer)
{
    *pointer = (struct pointer){.path = JSON_PATH_ROOT};
}

/* Appends "/key" with JSON Pointer's own escapes (RFC 6901), made printable, as far as it fits. */
static void
pointer_append(struct pointer *pointer, const char *key)
{
    char escaped[TEXT_WORD_MAX * 4 + 2];
    size_t len = 0;
    escaped[len++] = '/';
    for (; *key != '\0' && len + 2 < sizeof escaped; key++) {
        if (*key == '~' || *key == '/')
            escaped[len++] = '~';
        escaped[len++] = *key == '~' ? '0' : *key == '/' ? '1' : *key;
    }
    size_t room = sizeof pointer->text - pointer->len;
    if (room >= 4)
        pointer->len += text_escape(pointer->text + pointer->len, room, escaped, len);
}

static struct pointer_mark
pointer_enter(struct pointer *pointer, uint64_t path, const char *key)
{
    struct pointer_mark mark = {.path = pointer->path, .len = pointer->len};
    pointer->path = path;
    pointer_append(pointer, key);
    return mark;
}

struct pointer_mark
pointer_enter_member(struct pointer *pointer, const char *key)
{
    return pointer_enter(pointer, json_path_member(pointer->path, key), key);
}

struct pointer_mark
pointer_enter_element(struct pointer *pointer, size_t index)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%zu", index);
    return pointer_enter(pointer, json_path_element(pointer->path, index), digits);
}

void
pointer_leave(struct pointer *pointer, struct pointer_mark mark)
{
    pointer->path = mark.path;
    pointer->len = mark.len;
    pointer->text[mark.len] = '\0';
}

static void
problem_append(struct problems *problems, const struct pointer *pointer, struct problem problem,
               const char *format, va_list ap)
{
    problems->count++;
    if (problems->list.len / sizeof problem == LOAD_ERRORS_MAX)
        return;
    char what[768];
    vsnprintf(what, sizeof what, format, ap);
    const char *where = pointer == NULL ? "" : pointer->text;
    problem.text = problems->text.len;
    buffer_print(&problems->text, "%s%s%s", where, where[0] == '\0' ? "" : ": ", what);
    problem.text_len = problems->text.len - problem.text;
    buffer_add(&problems->list, &problem, sizeof problem);
}

void
problem_add(struct problems *problems, const struct pointer *pointer, enum problem_at at,
            const char *format, ...)
{
    struct problem problem = {.at = pointer == NULL ? PROBLEM_AT_FILE : at};
    problem.path = pointer == NULL ? 0 : pointer->path;
    va_list ap;
    va_start(ap, format);
    problem_append(problems, pointer, problem, format, ap);
    va_end(ap);
}

void
problem_add_place(struct problems *problems, const struct pointer *pointer, struct json_place place,
                  const char *format, ...)
{
    struct problem problem = {.at = PROBLEM_AT_FILE, .place = place};
    va_list ap;
    va_start(ap, format);
    problem_append(problems, pointer, problem, format, ap);
    va_end(ap);
}

static struct problem *
problem_list(const struct problems *problems, size_t *count)
{
    *count = problems->list.len / sizeof(struct problem);
    return (struct problem *)(void *)problems->list.bytes;
}

struct locator {
    struct problem *list;
    struct map first; /* path -> 1 + the first problem with it */
    size_t *next;     /* 1 + the next problem with the same path, 0: none */
};

/* A path may come twice when keys do; the last value is the one that was judged. */
static void
locate(const struct json_node *node, void *arg)
{
    struct locator *locator = arg;
    uint64_t *first = map_find(&locator->first, node->path);
    for (size_t i = first == NULL ? 0 : (size_t)*first; i != 0; i = locator->next[i - 1]) {
        struct problem *problem = &locator->list[i - 1];
        problem->place = problem->at == PROBLEM_AT_KEY ? node->key : node->value;
    }
}

void
problems_locate(struct problems *problems, const char *text, size_t len)
{
    size_t count;
    struct problem *list = problem_list(problems, &count);
    struct locator locator = {.list = list, .next = calloc(count + 1, sizeof(size_t))};
    bool failed = locator.next == NULL;
    for (size_t i = 0; i < count && !failed; i++) {
        if (list[i].at == PROBLEM_AT_FILE)
            continue;
        uint64_t *first = map_find(&locator.first, list[i].path);
        locator.next[i] = first == NULL ? 0 : (size_t)*first;
        failed = map_put(&locator.first, list[i].path, i + 1) != 0;
    }
    if (!failed)
        json_scan(text, len, locate, &locator);
    map_fini(&locator.first);
    free(locator.next);
}

static int
compare_places(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    if (x->place.offset != y->place.offset)
        return x->place.offset < y->place.offset ? -1 : 1;
    return (x->text > y->text) - (x->text < y->text); /* as they were found */
}

void
problems_print(struct problems *problems, const char *file, struct buffer *out)
{
    size_t count;
    struct problem *list = problem_list(problems, &count);
    if (count > 0)
        qsort(list, count, sizeof *list, compare_places);
    for (size_t i = 0; i < count; i++) {
        buffer_add(out, file, strlen(file));
        buffer_add(out, ":", 1);
        if (list[i].place.line != 0)
            buffer_print(out, "%u:%u:", list[i].place.line, list[i].place.column);
        buffer_add(out, " ", 1);
        buffer_add(out, problems->text.bytes + list[i].text, list[i].text_len);
        buffer_add(out, "\n", 1);
    }
    if (problems->count > count)
        buffer_print(out, "and %zu more errors\n", problems->count - count);
    if (problems->text.failed || problems->list.failed)
        out->failed = true;
}

void
problems_fini(struct problems *problems)
{
    buffer_fini(&problems->list);
    buffer_fini(&problems->text);
}
