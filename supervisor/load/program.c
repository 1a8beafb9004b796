/* program.c - which program a command is, and its argument vector. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/text.h"
#include "supervisor/load/compile.h"

bool
strings_put(struct load *load, const char *joined, size_t bytes, size_t count,
            struct record_strings *out)
{
    if (bytes > RECORD_STRINGS_BYTES_MAX) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "%zu strings of %zu bytes; at most %u bytes can be handed to a program", count,
                    bytes, RECORD_STRINGS_BYTES_MAX);
        return false;
    }
    out->at = image_bytes(&load->image, joined, bytes, 1);
    out->count = (uint32_t)count;
    out->bytes = (uint32_t)bytes;
    return true;
}

/* A regular file that somebody may execute. Whether the pool's user may is found out, and told,
 * when it is tried. */
static bool
is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

/* Finds name in the directories of path, absolute ones only. */
static bool
find_program(const char *name, const char *path, char out[PATH_MAX])
{
    for (;;) {
        size_t len = strcspn(path, ":");
        int n = snprintf(out, PATH_MAX, "%.*s/%s", (int)MIN(len, PATH_MAX), path, name);
        if (path[0] == '/' && n < PATH_MAX && is_program(out))
            return true;
        if (path[len] == '\0')
            return false;
        path += len + 1;
    }
}

/* Writes the absolute path of the program that a command's first string names. */
static bool
resolve_program(struct load *load, const char *name, const char *path, char out[PATH_MAX])
{
    char escaped[TEXT_WORD_MAX * 2], escaped_path[256];
    text_escape(escaped, sizeof escaped, name, strlen(name));
    const char *wrong = name[0] == '\0'             ? "is empty"
                        : !text_is_printable(name)  ? "has a control or hidden character"
                        : strlen(name) >= PATH_MAX  ? "is too long for a path"
                        : name[0] == '/'            ? NULL
                        : strchr(name, '/') != NULL ? "is neither absolute nor a name without /"
                                                    : NULL;
    if (wrong != NULL) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "the program \"%s\" %s",
                    escaped, wrong);
        return false;
    }
    if (name[0] == '/') {
        memcpy(out, name, strlen(name) + 1); /* shorter than PATH_MAX, as was asked above */
        return true;
    }
    if (path == NULL) /* refused already */
        return false;
    if (find_program(name, path, out))
        return true;
    text_escape(escaped_path, sizeof escaped_path, path, strlen(path));
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                "there is no program \"%s\" in the pool's PATH (%s)", escaped, escaped_path);
    return false;
}

/* The strings of the array into the record, the first one replaced by first unless that is NULL. */
static void
put_arguments(struct load *load, const json_t *array, const char *first, struct record_strings *out)
{
    struct buffer joined = {0};
    size_t index;
    json_t *element;
    json_array_foreach(array, index, element)
    {
        const char *string = json_string_value(element);
        if (index == 0 && first != NULL)
            string = first;
        buffer_add(&joined, string, strlen(string) + 1);
    }
    if (joined.failed)
        load->failed = true;
    else
        strings_put(load, joined.bytes, joined.len, json_array_size(array), out);
    buffer_fini(&joined);
}

static bool
resolve_first(struct load *load, const json_t *array, const char *path, char out[PATH_MAX])
{
    struct pointer_mark mark = pointer_enter_element(&load->pointer, 0);
    bool good = resolve_program(load, json_string_value(json_array_get(array, 0)), path, out);
    pointer_leave(&load->pointer, mark);
    return good;
}

void
programs_resolve(struct load *load, struct draft *draft, const char *path)
{
    char program[PATH_MAX];
    struct pointer before = draft_enter(load, draft, "command");
    if (draft->command != NULL && draft_is_right(draft, "command") &&
        resolve_first(load, draft->command, path, program)) {
        draft->record.program = image_string(&load->image, program);
        put_arguments(load, draft->command, NULL, &draft->record.argv);
    }
    load->pointer = before;
    if (draft->ready.command == NULL || !draft_is_right(draft, "ready"))
        return;
    draft_enter(load, draft, "ready");
    pointer_enter_member(&load->pointer, "command");
    if (resolve_first(load, draft->ready.command, path, program))
        put_arguments(load, draft->ready.command, program, &draft->record.ready);
    load->pointer = before;
}
