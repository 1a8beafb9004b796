/* output.c - where a pool's output goes: a word, or a file that poold may append to.
 *
 * The file is opened by the keeper, who takes no symbolic link anywhere on the way: who can write a
 * directory could lead it to any file of the system. So a path with one is refused here, where it can
 * be said what to write instead. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/text.h"
#include "supervisor/load/compile.h"

/* No part of it is empty, "." or "..", so that one file is written in one way. */
static bool
is_plain(const char *path)
{
    for (const char *at = path; at[0] != '\0'; at += strcspn(at, "/")) {
        size_t len = strcspn(++at, "/");
        if (len == 0 || (len <= 2 && strspn(at, ".") >= len))
            return false;
    }
    return true;
}

bool
value_take_output(struct load *load, const struct config_key *key, const json_t *value,
                  struct output_draft *out)
{
    const char *path = json_string_value(value);
    if (path == NULL || path[0] != '/') {
        uint8_t kind;
        if (!value_take_word(load, key, value, &kind))
            return false;
        *out = (struct output_draft){.kind = (enum output)kind};
        return true;
    }
    const char *wrong = NULL;
    if (!text_is_printable(path))
        wrong = "it has a control or hidden character";
    else if (strlen(path) >= PATH_MAX)
        wrong = "it is too long: a path has at most 4095 bytes";
    else if (!is_plain(path))
        wrong = "write it without \"//\", \".\" and \"..\", and without a slash at its end";
    if (wrong != NULL) {
        char found[JSON_FOUND_MAX];
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "the file %s cannot take output: %s", json_found(value, found), wrong);
        return false;
    }
    *out = (struct output_draft){.kind = OUTPUT_FILE, .path = path};
    return true;
}

/* Why it cannot take output, as "NAME IS WRONG"; "": it can. What may not be looked at is left to the
 * keeper, which has other rights than who only checks. */
static const char *
file_wrong(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return "is no regular file; poold appends to nothing else";
    if (st->st_nlink != 1)
        return "has more than one name (a hard link), so it may be somebody else's file; remove it";
    return "";
}

static void
refuse_link(struct load *load, const char *link, const char *path)
{
    char real[PATH_MAX], directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s", path);
    *strrchr(directory, '/') = '\0';
    bool is_file = strcmp(link, path) == 0;
    bool is_found = !is_file && realpath(directory, real) != NULL && text_is_printable(real);
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                "%s is a symbolic link, and output goes through none%s%s%s%s", link,
                is_found ? ": write \"" : "", is_found ? real : "",
                is_found ? strrchr(path, '/') : "", is_found ? "\"" : "");
}

static void
directory_refuse(struct load *load, const char *directory, int error)
{
    if (error == ENOENT)
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "the directory %s is not there: make it, or name another one", directory);
    else
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "%s: %s", directory,
                    strerror(error));
}

/* Each directory on the way, and the file itself if it is there. */
static void
path_check(struct load *load, const char *path)
{
    char part[PATH_MAX];
    struct stat st;
    for (size_t len = 1; path[len - 1] != '\0'; len++) {
        len += strcspn(path + len, "/");
        bool is_file = path[len] == '\0';
        snprintf(part, sizeof part, "%.*s", (int)len, path);
        if (lstat(part, &st) != 0) {
            if (errno != EACCES && !(is_file && errno == ENOENT))
                directory_refuse(load, part, errno);
            return;
        }
        if (S_ISLNK(st.st_mode)) {
            refuse_link(load, part, path);
            return;
        }
        if (!is_file && !S_ISDIR(st.st_mode)) {
            directory_refuse(load, part, ENOTDIR);
            return;
        }
        if (is_file && file_wrong(&st)[0] != '\0')
            problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "%s %s", part,
                        file_wrong(&st));
        if (is_file)
            return;
    }
}

void
output_resolve(struct load *load, struct draft *draft)
{
    draft->record.output = (uint8_t)draft->output.kind;
    if (draft->output.kind != OUTPUT_FILE || !draft_is_right(draft, "output"))
        return;
    struct pointer before = draft_enter(load, draft, "output");
    size_t size = load->image.text.len;
    path_check(load, draft->output.path);
    draft->record.output_path = image_string(&load->image, draft->output.path);
    load->output_files += load->image.text.len > size; /* equal strings are one */
    load->pointer = before;
}
