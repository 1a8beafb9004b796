/* options.c - reads the command line by the rows of options.def. */
#include "worker/host/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "common/units.h"

enum kind { TEXT, LIST, NUMBER, SIZE, DURATION, FLAG };

static const struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *argument; /* NULL: it takes none */
    const char *standard;
    const char *help;
} rows[] = {
#define OPTION(name, kind, field, argument, standard, help)                                        \
    {name, kind, offsetof(struct options, field), argument, standard, help},
#include "worker/host/options.def"
#undef OPTION
};

static void
print_help(void)
{
    puts("usage: poolworker [--OPTION VALUE ...]\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", rows[i].name,
                 rows[i].argument == NULL ? "" : rows[i].argument);
        printf("  %-30s %s%s%s%s\n", left, rows[i].help, *rows[i].standard == '\0' ? "" : " (",
               rows[i].standard, *rows[i].standard == '\0' ? "" : ")");
    }
    puts("\nWithout --root every path answers a page that names pool, worker and pid.\n"
         "poolworker(1) tells the rest.");
}

static int
read_number(const char *text, uint64_t *out, struct err *err)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value == 0 || value > 1000000)
        return err_set(err, -EINVAL, "is not a number from 1 to 1000000");
    *out = value;
    return 0;
}

static int
set(struct options *options, const struct row *row, const char *value, struct err *err)
{
    void *field = (char *)options + row->offset;
    switch (row->kind) {
    case TEXT:
        *(const char **)field = *value == '\0' ? NULL : value;
        return 0;
    case LIST: {
        struct option_list *list = field;
        if (list->count == OPTION_LIST_MAX)
            return err_set(err, -E2BIG, "is given more than %d times", OPTION_LIST_MAX);
        list->items[list->count++] = value;
        return 0;
    }
    case NUMBER:
        return read_number(value, field, err);
    case SIZE:
        return size_parse(value, field, err);
    case DURATION:
        return duration_parse(value, field, err);
    case FLAG:
        *(bool *)field = true;
        return 0;
    }
    assert(!"a kind of option without a case");
    return -EINVAL;
}

static void
set_defaults(struct options *options)
{
    *options = (struct options){0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err;
        if (*rows[i].standard != '\0' && set(options, &rows[i], rows[i].standard, &err) != 0)
            assert(!"a default that its own option refuses");
    }
}

static const struct row *
find_row(const char *word, size_t len, struct err *err)
{
    struct text_nearest nearest;
    char name[TEXT_WORD_MAX];
    snprintf(name, sizeof name, "%.*s", (int)MIN(len, sizeof name - 1), word);
    text_nearest_init(&nearest, name);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
        text_nearest_offer(&nearest, rows[i].name);
    }
    err_set(err, -EINVAL, "there is no option --%s%s%s%s; --help lists them", name,
            *nearest.best == '\0' ? "" : ", did you mean --", nearest.best,
            *nearest.best == '\0' ? "" : "?");
    return NULL;
}

/* One option at argv[*at], `--name value` or `--name=value`; *at moves over what it took. */
static int
read_one(struct options *options, int argc, char **argv, int *at, struct err *err)
{
    const char *word = argv[(*at)++];
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0')
        return err_set(err, -EINVAL, "%.60s is no option; --help lists them", word);
    const char *equals = strchr(word, '=');
    size_t len = equals == NULL ? strlen(word + 2) : (size_t)(equals - word) - 2;
    const struct row *row = find_row(word + 2, len, err);
    if (row == NULL)
        return -EINVAL;
    const char *value = equals == NULL ? NULL : equals + 1;
    if (row->argument == NULL && value != NULL)
        return err_set(err, -EINVAL, "--%s takes no value", row->name);
    if (row->argument != NULL && value == NULL) {
        if (*at == argc)
            return err_set(err, -EINVAL, "--%s needs %s", row->name, row->argument);
        value = argv[(*at)++];
    }
    struct err why;
    int code = set(options, row, value == NULL ? "" : value, &why);
    return code == 0 ? 0 : err_set(err, code, "--%s %.60s: %s", row->name, value, why.text);
}

enum options_outcome
options_read(struct options *out, int argc, char **argv, struct err *err)
{
    set_defaults(out);
    for (int at = 1; at < argc;) {
        if (strcmp(argv[at], "--help") == 0) {
            print_help();
            return OPTIONS_DONE;
        }
        if (strcmp(argv[at], "--version") == 0) {
            puts("poolworker " POOLD_VERSION);
            return OPTIONS_DONE;
        }
        if (read_one(out, argc, argv, &at, err) != 0)
            return OPTIONS_WRONG;
    }
    if (out->index.count == 0) {
        out->index.items[out->index.count++] = "index.html";
        out->index.items[out->index.count++] = "index.htm";
    }
    return OPTIONS_RUN;
}
