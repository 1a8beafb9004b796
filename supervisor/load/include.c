/* include.c - the files that `include` names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "supervisor/load/compile.h"
#include "supervisor/load/syntax.h"

#define PATTERN_MAX 4096 /* bytes of a pattern with the directory before it */

/* The file was read already, by this or another name. */
static const struct source *
source_known(const struct load *load, const char *path, const struct file_text *file)
{
    for (size_t i = 0; i < source_count(load); i++) {
        const struct source *source = source_at(load, i);
        bool same =
            file->inode != 0 && source->inode == file->inode && source->device == file->device;
        if (same || strcmp(source->path, path) == 0)
            return source;
    }
    return NULL;
}

/* What a file that is read twice is told; the main one would include itself for ever. */
static void
refuse_known(struct load *load, const struct source *known, const char *name)
{
    bool is_main = known == source_at(load, 0);
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "%.500s %s", name,
                is_main ? "is this very file" : "is included already");
}

/* Adds a source, which takes over what it is given. */
static void
source_add(struct load *load, const char *path, const char *name, const struct file_text *file)
{
    struct source source = {.owned_path = strdup(path),
                            .owned_name = strdup(name),
                            .owned_text = file->bytes,
                            .len = file->len,
                            .device = file->device,
                            .inode = file->inode};
    source.path = source.owned_path;
    source.name = source.owned_name;
    source.text = source.owned_text;
    buffer_add(&load->sources, &source, sizeof source);
    if (source.path == NULL || source.name == NULL || load->sources.failed) {
        load->failed = true;
        return;
    }
    size_t index = source_count(load) - 1;
    json_t *tree = syntax_parse(load, (uint32_t)index, source.text, source.len);
    source_at(load, index)->tree = tree;
}

static size_t
bytes_left(const struct load *load)
{
    size_t read = 0;
    for (size_t i = 0; i < source_count(load); i++)
        read += source_at(load, i)->len;
    return LOAD_BYTES_MAX - MIN(read, LOAD_BYTES_MAX);
}

static void
read_file(struct load *load, const char *path)
{
    char name[PATTERN_MAX];
    struct file_text file = {0};
    struct err err;
    text_escape(name, sizeof name, path, strlen(path));
    size_t left = bytes_left(load);
    if (load->files->read(path, MIN(LOAD_FILE_MAX, left), &file, &err) != 0) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "%.500s: %s%s", name,
                    err.text, left < LOAD_FILE_MAX ? "; all files together may have 16 MiB" : "");
        return;
    }
    const struct source *known = source_known(load, path, &file);
    if (known != NULL) {
        refuse_known(load, known, name);
        free(file.bytes);
        return;
    }
    source_add(load, path, name, &file);
}

/* The pattern behind the directory of the main file. False: refused. */
static bool
resolve_pattern(struct load *load, const json_t *element, char out[PATTERN_MAX])
{
    char found[JSON_FOUND_MAX];
    const char *pattern = json_string_value(element), *main = source_at(load, 0)->path;
    const char *slash = strrchr(main, '/');
    if (pattern == NULL || pattern[0] == '\0' || !text_is_printable(pattern)) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but a pattern of file names is needed, such as \"pools.d/*.json\"",
                    json_found(element, found));
        return false;
    }
    int directory = pattern[0] == '/' || slash == NULL ? 0 : (int)(slash - main) + 1;
    int len = snprintf(out, PATTERN_MAX, "%.*s%s", directory, main, pattern);
    if (len < PATTERN_MAX)
        return true;
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                "the pattern has %d bytes with its directory; at most %d are taken", len,
                PATTERN_MAX - 1);
    return false;
}

static void
read_matches(struct load *load, const char *pattern)
{
    struct file_names names;
    struct err err;
    char name[PATTERN_MAX];
    text_escape(name, sizeof name, pattern, strlen(pattern));
    if (load->files->match(pattern, LOAD_FILES_MAX - source_count(load), &names, &err) != 0) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "%.500s: %s", name,
                    err.text);
        return;
    }
    /* A name that is no pattern was meant to be there. */
    if (names.count == 0 && strpbrk(pattern, "*?[") == NULL)
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "there is no file %.500s",
                    name);
    for (size_t i = 0; i < names.count && !load->failed; i++)
        read_file(load, names.list[i]);
    file_names_fini(&names);
}

void
include_read(struct load *load, const json_t *patterns)
{
    size_t index;
    json_t *element;
    char pattern[PATTERN_MAX];
    pointer_init(&load->pointer, 0);
    pointer_enter_member(&load->pointer, "include");
    json_array_foreach(patterns, index, element)
    {
        struct pointer_mark mark = pointer_enter_element(&load->pointer, index);
        if (resolve_pattern(load, element, pattern))
            read_matches(load, pattern);
        pointer_leave(&load->pointer, mark);
    }
}
