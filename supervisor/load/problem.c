/* problem.c - the errors of one load: each with its place in the file, all of them at once. */
#include "supervisor/load/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/text.h"
#include "supervisor/load/load.h"

void
pointer_init(struct pointer *pointer, uint32_t file)
{
    *pointer = (struct pointer){.path = JSON_PATH_ROOT, .file = file};
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

/* True for the first time that this is said at this place. */
static bool
is_new(struct problems *problems, const struct problem_place *here, const char *where,
       const char *what)
{
    uint64_t hash = hash_bytes(HASH_START, &here->file, sizeof here->file);
    hash = hash_bytes(hash, &here->path, sizeof here->path);
    hash = hash_bytes(hash, &here->place.offset, sizeof here->place.offset);
    hash = hash_bytes(hash, where, strlen(where));
    hash = hash_mix(hash_bytes(hash, what, strlen(what)));
    if (map_find(&problems->seen, hash) != NULL)
        return false;
    if (map_put(&problems->seen, hash, 1) != 0)
        problems->text.failed = true;
    return true;
}

static void
problem_append(struct problems *problems, const struct pointer *pointer, struct problem problem,
               const char *format, va_list ap)
{
    char what[768];
    vsnprintf(what, sizeof what, format, ap);
    const char *where = pointer == NULL ? "" : pointer->text;
    if (!is_new(problems, &problem.here, where, what))
        return;
    problems->count++;
    if (problems->list.len / sizeof problem == LOAD_ERRORS_MAX)
        return;
    problem.text = problems->text.len;
    buffer_print(&problems->text, "%s%s%s", where, where[0] == '\0' ? "" : ": ", what);
    problem.text_len = problems->text.len - problem.text;
    buffer_add(&problems->list, &problem, sizeof problem);
}

static struct problem_place
place_at(const struct pointer *pointer, enum problem_at at)
{
    if (pointer == NULL)
        return (struct problem_place){.at = PROBLEM_AT_FILE};
    return (struct problem_place){.file = pointer->file, .at = at, .path = pointer->path};
}

void
problem_add(struct problems *problems, const struct pointer *pointer, enum problem_at at,
            const char *format, ...)
{
    struct problem problem = {.here = place_at(pointer, at), .other.file = NONE};
    va_list ap;
    va_start(ap, format);
    problem_append(problems, pointer, problem, format, ap);
    va_end(ap);
}

void
problem_add_place(struct problems *problems, const struct pointer *pointer, struct json_place place,
                  const char *format, ...)
{
    struct problem problem = {.here = place_at(pointer, PROBLEM_AT_FILE), .other.file = NONE};
    problem.here.place = place;
    va_list ap;
    va_start(ap, format);
    problem_append(problems, pointer, problem, format, ap);
    va_end(ap);
}

ATTR_PRINTF(4, 5)
static void
problem_add_two(struct problems *problems, const struct pointer *pointer,
                const struct problem *problem, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    problem_append(problems, pointer, *problem, format, ap);
    va_end(ap);
}

void
problem_add_both(struct problems *problems, const struct pointer *pointer,
                 const struct pointer *other, const char *text)
{
    struct problem problem = {.here = place_at(pointer, PROBLEM_AT_KEY),
                              .other = place_at(other, PROBLEM_AT_KEY)};
    problem_add_two(problems, pointer, &problem, "%s", text);
}

static struct problem *
problem_list(const struct problems *problems, size_t *count)
{
    *count = problems->list.len / sizeof(struct problem);
    return (struct problem *)(void *)problems->list.bytes;
}

/* What is looked for in one text. */
struct locator {
    struct problem_place **wanted;
    size_t count;
    struct map first; /* path -> 1 + the first of wanted with it */
    size_t *next;     /* 1 + the next one with the same path, 0: none */
    bool failed;
};

/* A path may come twice when keys do; the last value is the one that was judged. */
static void
locate(const struct json_node *node, void *arg)
{
    struct locator *locator = arg;
    uint64_t *first = map_find(&locator->first, node->path);
    for (size_t i = first == NULL ? 0 : (size_t)*first; i != 0; i = locator->next[i - 1]) {
        struct problem_place *place = locator->wanted[i - 1];
        place->place = place->at == PROBLEM_AT_KEY ? node->key : node->value;
    }
}

static void
want(struct locator *locator, uint32_t file, struct problem_place *place)
{
    if (place->file != file || place->at == PROBLEM_AT_FILE || locator->failed)
        return;
    uint64_t *first = map_find(&locator->first, place->path);
    locator->wanted[locator->count] = place;
    locator->next[locator->count] = first == NULL ? 0 : (size_t)*first;
    locator->failed = map_put(&locator->first, place->path, ++locator->count) != 0;
}

void
problems_locate(struct problems *problems, uint32_t number, const struct problem_file *file)
{
    size_t count;
    struct problem *list = problem_list(problems, &count);
    struct locator locator = {.wanted = calloc(2 * count + 1, sizeof *locator.wanted),
                              .next = calloc(2 * count + 1, sizeof *locator.next)};
    locator.failed = locator.next == NULL || locator.wanted == NULL;
    for (size_t i = 0; i < count; i++) {
        want(&locator, number, &list[i].here);
        want(&locator, number, &list[i].other);
    }
    if (!locator.failed && locator.count > 0 && file->text != NULL)
        json_scan(file->text, file->len, locate, &locator);
    map_fini(&locator.first);
    free(locator.next);
    free(locator.wanted);
}

static int
compare_places(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    if (x->here.file != y->here.file)
        return x->here.file < y->here.file ? -1 : 1;
    if (x->here.place.offset != y->here.place.offset)
        return x->here.place.offset < y->here.place.offset ? -1 : 1;
    return (x->text > y->text) - (x->text < y->text); /* as they were found */
}

/* "FILE:LINE:COLUMN". */
static void
print_place(const struct problem_place *place, const struct problem_file *files, struct buffer *out)
{
    const char *name = files[place->file].name;
    buffer_add(out, name, strlen(name));
    if (place->place.line != 0)
        buffer_print(out, ":%u:%u", place->place.line, place->place.column);
}

void
problems_print(struct problems *problems, const struct problem_file *files, struct buffer *out)
{
    size_t count;
    struct problem *list = problem_list(problems, &count);
    if (count > 0)
        qsort(list, count, sizeof *list, compare_places);
    for (size_t i = 0; i < count; i++) {
        print_place(&list[i].here, files, out);
        buffer_add(out, ": ", 2);
        buffer_add(out, problems->text.bytes + list[i].text, list[i].text_len);
        if (list[i].other.file != NONE)
            print_place(&list[i].other, files, out);
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
    map_fini(&problems->seen);
}
