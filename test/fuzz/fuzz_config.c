/* fuzz_config.c - any bytes are a configuration: they compile to an image that record_open takes, or
 * to errors that are printable lines with places inside their files; and a second load keeps the
 * places of the first.
 *
 * Control character 0x1e separates files. The first is the main one; the others are a.json, b.json
 * ... for `include`, and the second one is loaded anew over the first. driver.c runs it over the
 * corpus; for libFuzzer there is `make fuzz`. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "supervisor/load/file.h"
#include "supervisor/load/load.h"
#include "supervisor/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES_MAX = 8, SEPARATOR = 0x1e };

static struct {
    const char *text;
    size_t len;
} files[FILES_MAX]; /* the main one first */
static size_t file_count;
static size_t main_file; /* which of them is m.json now */

static void
expect(bool holds, const char *claim)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_config: %s\n", claim);
    abort();
}

/* "a.json" is files[1]. */
static size_t
index_of(const char *name)
{
    size_t index = (size_t)(name[0] - 'a') + 1;
    return strncmp(name + 1, ".json", 5) == 0 && index < file_count ? index : 0;
}

static int
read_one(const char *path, size_t size_max, struct file_text *out, struct err *err)
{
    size_t index = strlen(path) == 6 ? index_of(path) : 0;
    if (index == 0)
        return err_set(err, -ENOENT, "cannot open it");
    if (files[index].len > size_max)
        return err_set(err, -EFBIG, "it is too large");
    char *bytes = malloc(files[index].len + 1);
    if (bytes == NULL)
        return err_errno(err, -ENOMEM, "cannot read it");
    memcpy(bytes, files[index].text, files[index].len);
    *out = (struct file_text){.bytes = bytes, .len = files[index].len, .inode = index};
    return 0;
}

static int
match(const char *pattern, size_t most, struct file_names *out, struct err *err)
{
    *out = (struct file_names){.list = calloc(FILES_MAX, sizeof *out->list)};
    if (out->list == NULL || most < FILES_MAX)
        return err_errno(err, -ENOMEM, "cannot look for the files");
    for (size_t i = 1; i < file_count; i++) {
        char name[] = "a.json";
        name[0] = (char)('a' + i - 1);
        if (fnmatch(pattern, name, 0) == 0 && (out->list[out->count] = strdup(name)) != NULL)
            out->count++;
    }
    return 0;
}

/* Every place is one that the file has: a line of it, at most one column behind that line's end. The
 * main file is "m.json", which no included one is called. */
static void
check_place(const char *error)
{
    unsigned line, column;
    char colon;
    if (sscanf(error + 6, ":%u:%u%c", &line, &column, &colon) != 3 || colon != ':')
        return; /* it has none */
    size_t index = error[0] == 'm' ? main_file : index_of(error);
    const char *at = files[index].text, *end = at + files[index].len;
    for (unsigned i = 1; i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        expect(at != NULL, "an error is in a line that the file does not have");
        at++;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    size_t room = (size_t)((newline == NULL ? end : newline) - at) + 1;
    expect(column >= 1 && column <= room, "an error is in a column that its line does not have");
}

/* Every line has the name of a file in front and nothing in it that could not be shown. */
static void
check_errors(const char *errors)
{
    while (*errors != '\0') {
        size_t len = strcspn(errors, "\n");
        expect(errors[len] == '\n', "an error is no whole line");
        expect(strncmp(errors + 1, ".json:", 6) == 0 || strncmp(errors, "and ", 4) == 0,
               "an error names no file");
        for (size_t i = 0, n; i < len; i += n) {
            n = text_printable(errors + i, len - i);
            expect(n > 0, "an error cannot be printed");
        }
        check_place(errors);
        errors += len + 1;
    }
}

static bool
compile(size_t which, const struct record *in_force, struct load_result *result,
        struct record *record)
{
    static const struct load_files fake = {.read = read_one, .match = match};
    struct load_options options = {
        .config = "m.json", .in_force = in_force, .files = &fake, .advise = true};
    struct err err;
    main_file = which;
    if (load_compile_text(&options, files[which].text, files[which].len, result, &err) != 0)
        return false; /* out of memory */
    expect(record_open(record, result->image, result->size) == 0, "a record does not open");
    if (record->header->errors > 0)
        check_errors(record->text);
    return true;
}

static void
check_places(const struct record *before, const struct record *after)
{
    expect(after->header->pools >= before->header->pools, "a place is lost");
    expect(after->header->pools_max == before->header->pools_max, "the room has changed");
    for (uint32_t i = 0; i < before->header->pools; i++)
        expect(strcmp(record_text(before, before->pools[i].name),
                      record_text(after, after->pools[i].name)) == 0,
               "a pool has lost its place");
}

/* The same again is the same; the second file instead keeps every place. */
static void
load_again(const struct load_result *first, const struct record *record)
{
    struct load_result result;
    struct record again;
    if (!compile(0, record, &result, &again))
        return;
    expect(result.size == first->size && memcmp(result.image, first->image, first->size) == 0,
           "the same file gives another configuration");
    load_result_fini(&result);
    if (file_count < 2 || !compile(1, record, &result, &again))
        return;
    if (again.header->errors == 0)
        check_places(record, &again);
    load_result_fini(&result);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct load_result result;
    struct record record;
    file_count = 0;
    for (size_t left = size; file_count < FILES_MAX; file_count++) {
        const char *end = left == 0 ? NULL : memchr(text, SEPARATOR, left);
        files[file_count].text = text;
        files[file_count].len = end == NULL ? left : (size_t)(end - text);
        if (end == NULL) {
            file_count++;
            break;
        }
        left -= (size_t)(end - text) + 1;
        text = end + 1;
    }
    if (!compile(0, NULL, &result, &record))
        return 0;
    if (record.header->errors == 0)
        load_again(&result, &record);
    load_result_fini(&result);
    return 0;
}
