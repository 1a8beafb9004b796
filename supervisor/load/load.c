/* load.c - compiling: one file in, one compiled configuration out. */
#include "supervisor/load/load.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/text.h"
#include "supervisor/load/capacity.h"
#include "supervisor/load/compile.h"
#include "supervisor/load/file.h"
#include "supervisor/load/syntax.h"

#define TREES_BYTES_MAX ((size_t)128 << 20) /* 5,000 pools need 25 MiB */

/* Workers that may start at one time when the file does not say: twice the CPUs that poold may
 * use (architecture.md, fair starts). */
static uint32_t
starts_of_this_host(void)
{
    cpu_set_t cpus;
    /* Hosts with more than 1024 CPUs do not fit the set; they get what the set can say. */
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : CPU_SETSIZE;
    return (uint32_t)MAX(count, 1) * 2;
}

static void
compile_pools(struct load *load, const json_t *pools)
{
    char found[JSON_FOUND_MAX];
    if (!json_is_object(pools)) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but an object of pools is needed", json_found(pools, found));
        return;
    }
    const char *name;
    json_t *pool;
    json_object_foreach((json_t *)(uintptr_t)pools, name, pool)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        if (is_comment(name))
            value_check_string(load, pool);
        else
            pool_compile(load, name, pool);
        pointer_leave(&load->pointer, mark);
    }
}

/* One member of the document's object, which load->pointer points to. */
static void
compile_member(struct load *load, const char *name, const json_t *value)
{
    char escaped[TEXT_WORD_MAX + 4];
    struct text_nearest nearest;
    if (strcmp(name, "pools") == 0) {
        compile_pools(load, value);
    } else if (is_comment(name)) {
        value_check_string(load, value);
    } else {
        text_nearest_init(&nearest, name);
        text_nearest_offer(&nearest, "pools");
        text_escape(escaped, sizeof escaped, name, strlen(name));
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "unknown key \"%s\"; %s\"pools\"%s", escaped,
                    nearest.best[0] == '\0' ? "the only one here is " : "did you mean ",
                    nearest.best[0] == '\0' ? "" : "?");
    }
}

static void
compile_document(struct load *load, const json_t *document)
{
    char found[JSON_FOUND_MAX];
    if (!json_is_object(document)) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but an object with \"pools\" is needed",
                    json_found(document, found));
        return;
    }
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)document, name, value)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        compile_member(load, name, value);
        pointer_leave(&load->pointer, mark);
    }
}

static void
compile_text(struct load *load, const char *text, size_t len)
{
    json_t *document = syntax_parse(load, text, len);
    if (document != NULL) {
        if (pool_preset(load, &load->preset) == 0)
            compile_document(load, document);
        else
            load->failed = true;
    }
    json_decref(load->preset_values);
    json_decref(document);
    if (load->problems.count > 0)
        problems_locate(&load->problems, text, len);
}

/* Turns what was compiled, or what was wrong, into the image. */
static int
finish(struct load *load, struct load_result *result, struct err *err)
{
    struct record_header header = {.starts_max = starts_of_this_host()};
    struct image *image = &load->image;
    identity_engine(load, &header);
    if (load->problems.count > 0) {
        header.engine_user = 0; /* went with the image */
        image_fini(image);
        *image = (struct image){0};
        problems_print(&load->problems, load->source, &image->text);
        header.errors = (uint32_t)load->problems.count;
    }
    buffer_add(&image->text, "", 1); /* ends the errors; else "" at offset 0 is there already */
    if (load->options->runtime != NULL && load->problems.count == 0)
        engine_words_put(load, &header);
    capacity_set(&header, image_socket_count(image), image_worker_count(image));
    header.source = image_string(image, load->source);
    buffer_add(&load->warnings, "", 1);
    header.warnings = load->warning_count;
    header.warning_text = image_bytes(image, load->warnings.bytes, load->warnings.len, 1);
    buffer_add(&image->text, "", 1); /* whatever came last, the text area ends with NUL */
    bool failed = load->failed || load->warnings.failed;
    result->image = failed ? NULL : image_finish(image, &header, &result->size);
    return result->image == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static void
load_init(struct load *load, const struct load_options *options, const char *source)
{
    *load = (struct load){.options = options, .source = source, .is_root = geteuid() == 0};
    pointer_init(&load->pointer);
    image_string(&load->image, ""); /* offset 0 is what a field says that says nothing */
    json_setup();
}

static void
load_fini(struct load *load)
{
    identities_fini(load);
    problems_fini(&load->problems);
    buffer_fini(&load->warnings);
    map_fini(&load->addresses);
    image_fini(&load->image);
}

/* The place of the configuration when nobody says another one. */
static const char *
default_place(char buf[4096])
{
    const char *home = getenv("XDG_CONFIG_HOME");
    const char *below = "";
    if (geteuid() == 0)
        return POOLD_SYSCONFDIR "/poold/poold.json";
    if (home == NULL || home[0] != '/') {
        home = getenv("HOME");
        below = "/.config";
    }
    snprintf(buf, 4096, "%s%s/poold/poold.json", home == NULL ? "" : home, below);
    return buf;
}

int
load_compile(const struct load_options *options, struct load_result *result, struct err *err)
{
    char place[4096], source[4096];
    const char *path = options->config != NULL ? options->config : default_place(place);
    struct load load;
    struct file_text file = {0};
    struct err why;
    text_escape(source, sizeof source, path, strlen(path));
    load_init(&load, options, source);
    if (file_read(path, LOAD_FILE_MAX, &file, &why) != 0) {
        problem_add(&load.problems, NULL, PROBLEM_AT_FILE, "%s", why.text);
    } else {
        json_budget_begin(TREES_BYTES_MAX);
        compile_text(&load, file.bytes, file.len);
        json_budget_end();
    }
    int r = finish(&load, result, err);
    load_fini(&load);
    free(file.bytes);
    return r;
}

int
load_compile_text(const struct load_options *options, const char *text, size_t len,
                  struct load_result *result, struct err *err)
{
    struct load load;
    load_init(&load, options, options->config);
    json_budget_begin(TREES_BYTES_MAX);
    compile_text(&load, text, len);
    json_budget_end();
    int r = finish(&load, result, err);
    load_fini(&load);
    return r;
}

void
load_result_fini(struct load_result *result)
{
    free(result->image);
    *result = (struct load_result){0};
}
