/* load.c - compiling: one file in, one compiled configuration out. */
#include "supervisor/load/load.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/text.h"
#include "supervisor/load/advice.h"
#include "supervisor/load/capacity.h"
#include "supervisor/load/compile.h"
#include "supervisor/load/file.h"

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

/* All errors, file by file, as the text area of an image that holds nothing else. */
static void
print_problems(struct load *load)
{
    size_t count = source_count(load);
    struct problem_file *files = calloc(count + 1, sizeof *files);
    load->failed = load->failed || files == NULL;
    image_fini(&load->image);
    load->image = (struct image){0};
    if (load->failed) {
        free(files);
        return;
    }
    files[0].name = load->source; /* there may be no file at all */
    for (size_t i = 0; i < count; i++) {
        const struct source *source = source_at(load, i);
        files[i] = (struct problem_file){source->name, source->text, source->len};
        problems_locate(&load->problems, (uint32_t)i, &files[i]);
    }
    problems_print(&load->problems, files, &load->image.text);
    free(files);
}

static void
put_top(const struct load *load, struct record_header *header)
{
    const struct record *in_force = load->options->in_force;
    header->starts_max = load->top.starts != 0 ? load->top.starts : starts_of_this_host();
    header->recycles_max = load->top.recycles;
    header->log_facility = load->top.log_facility;
    header->log_level = load->top.log_level;
    header->pools_present = load->places.present;
    header->pools_max = in_force == NULL ? 0 : in_force->header->pools_max;
}

/* It is about what was compiled, so that is made once more with it. */
static void
add_advice(struct load *load, struct record_header *header, struct load_result *result)
{
    struct record record;
    record_view(&record, result->image, result->size);
    char *text = advice_text(&record);
    if (text == NULL || text[0] == '\0') {
        free(text);
        return; /* out of memory: it is not worth a failure */
    }
    header->advice_text = image_bytes(&load->image, text, strlen(text) + 1, 1);
    free(text);
    free(result->image);
    result->image = image_finish(&load->image, header, &result->size);
}

/* The last of it: what is of this start, and not of the files. */
static int
finish_words(struct load *load, struct record_header *header, struct load_result *result,
             struct err *err)
{
    struct image *image = &load->image;
    if (load->options->runtime != NULL && load->problems.count == 0)
        engine_words_put(load, header);
    /* The engine has a descriptor for each output file, as the keeper for each socket. */
    capacity_set(header, image_socket_count(image) + load->output_files, image_worker_count(image));
    header->source = image_string(image, load->source);
    buffer_add(&load->warnings, "", 1);
    header->warning_text = image_bytes(image, load->warnings.bytes, load->warnings.len, 1);
    buffer_add(&image->text, "", 1); /* whatever came last, the text area ends with NUL */
    bool failed = load->failed || load->warnings.failed;
    result->image = failed ? NULL : image_finish(image, header, &result->size);
    if (result->image != NULL && load->options->advise && header->errors == 0)
        add_advice(load, header, result);
    return result->image == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* Turns what was compiled, or what was wrong, into the image. */
static int
finish(struct load *load, struct load_result *result, struct err *err)
{
    struct record_header header = {.version = RECORD_VERSION};
    struct image *image = &load->image;
    put_top(load, &header);
    control_put_header(load, &header);
    identity_engine(load, &header);
    if (load->problems.count > 0) {
        header.engine_user = 0; /* went with the image */
        header.control = header.roles = header.role_count = 0;
        header.pools_present = 0;
        header.errors = (uint32_t)load->problems.count;
        print_problems(load);
    }
    buffer_add(&image->text, "", 1); /* ends the errors; else "" at offset 0 is there already */
    return finish_words(load, &header, result, err);
}

static const struct load_files file_system = {.read = file_read, .match = file_match};

static void
load_init(struct load *load, const struct load_options *options, const char *source)
{
    *load = (struct load){.options = options,
                          .files = options->files != NULL ? options->files : &file_system,
                          .source = source,
                          .is_root = geteuid() == 0};
    pointer_init(&load->pointer, 0);
    image_string(&load->image, ""); /* offset 0 is what a field says that says nothing */
    json_setup();
}

/* Everything but what the image and the problems need: the trees, inside their budget. */
static void
trees_fini(struct load *load)
{
    presets_fini(load);
    json_decref(load->built_in_values);
    sources_drop_trees(load);
}

static void
load_fini(struct load *load)
{
    for (size_t i = 0; i < POOL_KEY_COUNT; i++)
        free(load->built_in_texts[i]);
    sources_fini(load);
    places_fini(load);
    identities_fini(load);
    problems_fini(&load->problems);
    buffer_fini(&load->warnings);
    buffer_fini(&load->roles);
    map_fini(&load->addresses);
    image_fini(&load->image);
}

/* Compiles the main file's text, and all that it includes. */
static int
load_text(struct load *load, const struct source *main, struct load_result *result, struct err *err)
{
    buffer_add(&load->sources, main, sizeof *main);
    load->failed = load->sources.failed;
    json_budget_begin(TREES_BYTES_MAX);
    if (!load->failed)
        document_compile(load);
    trees_fini(load);
    json_budget_end();
    return finish(load, result, err);
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
    char place[4096], name[4096];
    const char *path = options->config != NULL ? options->config : default_place(place);
    struct load load;
    struct file_text file = {0};
    struct err why;
    int r;
    text_escape(name, sizeof name, path, strlen(path));
    load_init(&load, options, name);
    if (load.files->read(path, LOAD_FILE_MAX, &file, &why) != 0) {
        problem_add(&load.problems, NULL, PROBLEM_AT_FILE, "%s", why.text);
        r = finish(&load, result, err);
    } else {
        const struct source main = {.name = name,
                                    .path = path,
                                    .text = file.bytes,
                                    .len = file.len,
                                    .device = file.device,
                                    .inode = file.inode};
        r = load_text(&load, &main, result, err);
    }
    load_fini(&load);
    free(file.bytes);
    return r;
}

int
load_compile_text(const struct load_options *options, const char *text, size_t len,
                  struct load_result *result, struct err *err)
{
    const struct source main = {
        .name = options->config, .path = options->config, .text = text, .len = len};
    struct load load;
    load_init(&load, options, options->config);
    int r = load_text(&load, &main, result, err);
    load_fini(&load);
    return r;
}

/* Its text stays in front, so that every offset in its records stays right. What was found out about
 * this machine and this command line is found out again. */
int
load_renew(const struct load_options *options, const struct record *last_good, int64_t kept_at,
           const struct record *refused, struct load_result *result, struct err *err)
{
    struct record_header header = *last_good->header;
    struct load load;
    struct image *image = &load.image;
    load_init(&load, options, record_text(refused, refused->header->source));
    image_fini(image);
    *image = (struct image){0};
    buffer_add(&image->pools, last_good->pools, header.pools * sizeof *last_good->pools);
    buffer_add(&image->sockets, last_good->sockets, header.sockets * sizeof *last_good->sockets);
    buffer_add(&image->text, last_good->text, header.text_size);
    header.pools_max = 0;
    header.advice_text = 0; /* of then */
    header.engine = (struct record_strings){0};
    header.errors_kept = refused->header->errors;
    header.error_text = image_string(image, refused->text);
    header.kept_at = kept_at;
    identity_engine(&load, &header);
    int r = load.problems.count > 0 ? err_set(err, -EINVAL, "the engine has no user") : 0;
    if (r == 0)
        r = finish_words(&load, &header, result, err);
    load_fini(&load);
    return r;
}

void
load_result_fini(struct load_result *result)
{
    free(result->image);
    *result = (struct load_result){0};
}
