/* deliver.c - what becomes of a compiled configuration: a sealed memfd, or a verdict to read. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/units.h"
#include "supervisor/load/capacity.h"
#include "supervisor/load/give.h"
#include "supervisor/load/last_good.h"
#include "supervisor/load/load.h"
#include "supervisor/load/options.h"
#include "supervisor/load/runtime.h"
#include "supervisor/load/write.h"
#include "supervisor/record_map.h"

#define LOAD_LIMIT_S 60

/* After the seals nobody, not even this process, can change the image: readers check it once. */
static int
write_sealed(int fd, const struct load_result *result, struct err *err)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    int r = write_all(fd, result->image, result->size);
    if (r != 0)
        return err_errno(err, r, "cannot write the memfd");
    if (fcntl(fd, F_ADD_SEALS, seals) != 0)
        return err_errno(err, -errno, "cannot seal the memfd");
    return 0;
}

static int
not_loaded(const struct err *err)
{
    fprintf(stderr, "poold: the configuration was not loaded: %s\n", err->text);
    return 1;
}

int
load_give(enum load_mode mode, const struct load_options *options, const struct load_result *result,
          load_refused_fn *refused)
{
    const struct record_header *header = result->image;
    if (mode == LOAD_FIRST && header->errors > 0) {
        struct record record;
        record_view(&record, result->image, result->size);
        fprintf(stderr, "%spoold: the configuration has %u error%s; nothing was started\n",
                record.text, header->errors, header->errors == 1 ? "" : "s");
        if (refused != NULL)
            refused(options, &record);
        return EX_CONFIG;
    }
    struct err err;
    if (mode == LOAD_FIRST && capacity_check(header, &err) != 0) {
        fprintf(stderr, "poold: %s\n", err.text);
        return 1;
    }
    int fd = memfd_create("poold-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r =
        fd < 0 ? err_errno(&err, -errno, "cannot make a memfd") : write_sealed(fd, result, &err);
    if (r == 0) {
        r = give(LOADED_CONFIG, fd, &err);
        fd = -1;
    }
    if (fd >= 0)
        close(fd);
    /* The engine that asked has ended: nobody waits for it. */
    if (r == -EPIPE && mode == LOAD_AGAIN)
        return 1;
    return r == 0 ? 0 : not_loaded(&err);
}

/* Two instances may share a state directory by mistake. */
static int
last_good_check(const struct last_good *kept, const struct load_options *options,
                const struct record *refused, struct err *err)
{
    const struct record *record = &kept->record;
    const char *source = record_text(record, record->header->source);
    const char *runtime = record_text(record, record->header->runtime);
    if (strcmp(source, record_text(refused, refused->header->source)) != 0)
        return err_set(err, -EINVAL, "what is kept in %s is of %s: give each poold a --state-dir",
                       options->state_dir, source);
    if (strcmp(runtime, options->runtime) != 0)
        return err_set(err, -EINVAL,
                       "what is kept in %s is of the poold in %s: give each poold a --state-dir",
                       options->state_dir, runtime);
    return 0;
}

/* The files have errors: what was good last takes their place, if there is such a thing. */
static void
stand_in(const struct load_options *options, struct load_result *result)
{
    struct last_good kept = {0};
    struct load_result renewed = {0};
    struct record refused;
    struct err err;
    char when[UNIT_TEXT_MAX];
    record_view(&refused, result->image, result->size);
    int r = last_good_read(options->state_dir, &kept, &err);
    if (r == 0)
        r = last_good_check(&kept, options, &refused, &err);
    if (r == 0)
        r = load_renew(options, &kept.record, kept.at, &refused, &renewed, &err);
    if (r == 0) {
        fprintf(stderr,
                "%spoold: the configuration has %u error%s; the last good one, of %s, is used\n",
                refused.text, refused.header->errors, refused.header->errors == 1 ? "" : "s",
                date_format(kept.at, when));
        load_result_fini(result);
        *result = renewed;
    } else if (r != -ENOENT) {
        fprintf(stderr, "poold: no last good configuration can be used: %s\n", err.text);
    }
    last_good_fini(&kept);
}

/* Whoever started this program is its keeper, but its bytes are checked all the same. Returns the
 * descriptor. */
static int
in_force_open(struct record *out, struct err *err)
{
    int fd = give_back(LOADED_CONFIG, err);
    if (fd < 0)
        return fd;
    int r = record_map(out, fd, NULL);
    if (r == 0)
        return fd;
    close(fd);
    return err_errno(err, r, "what is in force cannot be read");
}

/* What is in force becomes the last good configuration. */
static int
keep_run(const char *state_dir)
{
    struct record record; /* mapped until the end of this process */
    struct err err;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to tell */
    int r = in_force_open(&record, &err), fd = r;
    if (r >= 0)
        r = last_good_store(state_dir, record.header, record.size, &err);
    if (r == 0)
        r = give(LOADED_CONFIG, fd, &err);
    if (r == 0)
        return 0;
    fprintf(stderr, "poold: the configuration in force is not kept as the last good one: %s\n",
            err.text);
    return 1;
}

static int
load_run(enum load_mode mode, struct load_options *options, load_refused_fn *refused)
{
    struct load_result result = {0};
    struct record in_force = {0}; /* mapped until the end of this process, which is near */
    struct err err;
    /* The keeper is our parent; without it there is nobody to hold what would be made. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, LOADER_NAME);
    alarm(LOAD_LIMIT_S); /* nothing here takes long but a user database that does not answer */
    if (mode == LOAD_KEEP)
        return keep_run(options->state_dir);
    if (mode == LOAD_FIRST && runtime_open(options->runtime, getppid(), &err) != 0) {
        fprintf(stderr, "poold: %s\n", err.text);
        return 1;
    }
    if (mode == LOAD_AGAIN) {
        int fd = in_force_open(&in_force, &err);
        if (fd < 0)
            return not_loaded(&err);
        close(fd);
    }
    options->in_force = in_force.header != NULL ? &in_force : NULL;
    options->advise = mode == LOAD_AGAIN; /* somebody may have asked for a check */
    if (load_compile(options, &result, &err) != 0)
        return not_loaded(&err);
    if (mode == LOAD_FIRST && ((const struct record_header *)result.image)->errors > 0)
        stand_in(options, &result);
    int status = load_give(mode, options, &result, refused);
    load_result_fini(&result);
    return status;
}

int
load_main(enum load_mode mode, int argc, char **argv, load_refused_fn *refused)
{
    struct options options;
    int status = options_read(&options, argc, argv);
    if (status >= 0)
        return status;
    switch (options.asked) {
    case ASKED_TO_CHECK:
        options.load.advise = true;
        return load_check(&options.load, stdout);
    case ASKED_FOR_VERSION:
        printf("poold %s\n", POOLD_VERSION);
        return 0;
    case ASKED_TO_RUN:
        break;
    }
    return load_run(mode, &options.load, refused);
}

/* The warnings are whole lines. */
static void
print_warnings(const char *lines, FILE *out)
{
    while (*lines != '\0') {
        int len = (int)strcspn(lines, "\n");
        fprintf(out, "warning: %.*s\n", len, lines);
        lines += len + (lines[len] == '\n');
    }
}

static int
print_verdict(const struct record *record, FILE *out)
{
    const struct record_header *header = record->header;
    uint32_t sockets = record_pool_sockets(header);
    if (header->errors > 0)
        fputs(record->text, out);
    else
        fprintf(out, "%s: %u pool%s, %u socket%s: valid\n", record_text(record, header->source),
                header->pools_present, header->pools_present == 1 ? "" : "s", sockets,
                sockets == 1 ? "" : "s");
    print_warnings(record_text(record, header->warning_text), out);
    if (header->advice_text != 0) /* at 0 is the first error, or nothing */
        print_warnings(record_text(record, header->advice_text), out);
    return header->errors > 0 ? EX_CONFIG : 0;
}

int
load_check(const struct load_options *options, FILE *out)
{
    struct load_result result = {0};
    struct err err;
    if (load_compile(options, &result, &err) != 0) {
        fprintf(out, "poold: the configuration was not checked: %s\n", err.text);
        return 1;
    }
    struct record record;
    record_view(&record, result.image, result.size);
    int status = print_verdict(&record, out);
    load_result_fini(&result);
    return fflush(out) == 0 ? status : 1;
}
