/* outputs.c - where the output of each pool's workers goes, and who opens which file when. */
#include "supervisor/engine/outputs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/map.h"
#include "supervisor/core/heap.h"

#define TURN_FILES 64u /* that are looked at in a turn: some 2 us each when it is asked for */

struct outputs {
    struct shell *shell;
    struct output_host host;
    outputs_resume_fn *resume;
    void *resume_ctx;
    uint32_t pools_max;
    uint8_t *kinds;  /* of pools: enum output */
    uint32_t *slots; /* of pools: file + 1; 0: none */
    struct output_file *
        *files;          /* twice as many as pools: some are written to their end, and named by
                                   none; NULL: none at that slot */
    uint32_t files_used; /* slots below it were ever in use */
    struct map by_path;  /* hash of a path: slot; the slot may be another's by now */
    struct heap due;     /* files */
    uint32_t next; /* of the files that are asked for again, while some of them may `ask`; NONE */
    /* SIGUSR1, from the signal to the last answer. */
    bool reopening;
    uint32_t answers_open, opened, refused;
};

/* --- asking the keeper */

static bool
pool_names(const struct record *record, uint32_t pool, const struct output_file *file)
{
    return pool < record->header->pools && record->pools[pool].output == OUTPUT_FILE &&
           strcmp(record_text(record, record->pools[pool].output_path), file->path) == 0;
}

/* A pool of the configuration in force that names the file: nearly always the one that was told of it
 * last. NONE: none does. */
static uint32_t
pool_naming(const struct outputs *outputs, const struct output_file *file)
{
    const struct record *record = shell_record(outputs->shell);
    if (pool_names(record, file->pool, file))
        return file->pool;
    for (uint32_t i = 0; i < record->header->pools; i++) {
        if (pool_names(record, i, file))
            return i;
    }
    return NONE;
}

/* Until the keeper has taken another configuration, its pools may name other files than ours. */
static void
ask_later(struct outputs *outputs, struct output_file *file)
{
    file->asks = true;
    outputs->next = 0;
}

static void
file_ask(struct outputs *outputs, struct output_file *file, uint32_t pool)
{
    file->asks = false;
    if (pool != NONE && !shell_open_output(outputs->shell, pool, file->slot, &file->request))
        ask_later(outputs, file);
}

static void
on_ask(void *ctx, struct output_file *file)
{
    ask_later(ctx, file);
}

/* --- the files */
static void
file_forget(struct outputs *outputs, struct output_file *file)
{
    uint32_t slot = file->slot;
    heap_remove(&outputs->due, slot);
    if (file->reopens)
        outputs->answers_open--;
    file->failing = true; /* whoever still waits for it is read, and what comes is nobody's */
    outputs->resume(outputs->resume_ctx, file);
    output_file_destroy(&outputs->files[slot]);
}

static void
on_changed(void *ctx, struct output_file *file)
{
    struct outputs *outputs = ctx;
    if (file->due == MSEC_NEVER)
        heap_remove(&outputs->due, file->slot);
    else
        heap_set(&outputs->due, file->slot, file->due);
    if (output_file_takes(file))
        outputs->resume(outputs->resume_ctx, file);
    if (file->pools == 0 && !file->writes && output_file_is_written(file))
        file_forget(outputs, file);
}

static uint32_t
slot_free(const struct outputs *outputs)
{
    for (uint32_t i = 0; i < outputs->files_used; i++) {
        if (outputs->files[i] == NULL)
            return i;
    }
    return outputs->files_used;
}

static struct output_file *
file_find(const struct outputs *outputs, uint64_t hash, const char *path)
{
    const uint64_t *slot = map_find(&outputs->by_path, hash);
    struct output_file *file = slot != NULL ? outputs->files[*slot] : NULL;
    return file != NULL && strcmp(file->path, path) == 0 ? file : NULL;
}

/* NULL: out of memory. A file that nobody names any more may still be written: then there is no slot
 * for another one, until it is. */
static struct output_file *
file_get(struct outputs *outputs, uint32_t pool, const char *path)
{
    uint64_t hash = hash_mix(hash_bytes(HASH_START, path, strlen(path)));
    struct output_file *file = file_find(outputs, hash, path);
    if (file != NULL)
        return file;
    uint32_t slot = slot_free(outputs);
    if (slot == 2 * outputs->pools_max || map_put(&outputs->by_path, hash, slot) != 0)
        return NULL;
    file = output_file_create(&outputs->host, path, slot);
    if (file == NULL)
        return NULL;
    outputs->files[slot] = file;
    outputs->files_used = MAX(outputs->files_used, slot + 1);
    heap_set(&outputs->due, slot, file->due);
    file_ask(outputs, file, pool);
    return file;
}

/* --- pools */
static void
pool_set(struct outputs *outputs, uint32_t pool, enum output kind, struct output_file *file)
{
    struct output_file *before;
    outputs_of(outputs, pool, &before);
    outputs->kinds[pool] = (uint8_t)kind;
    outputs->slots[pool] = file != NULL ? file->slot + 1 : 0;
    if (file != NULL) {
        file->pools++;
        file->pool = pool;
    }
    if (before != NULL && --before->pools == 0)
        on_changed(outputs, before);
}

void
outputs_tell(struct outputs *outputs, uint32_t pool)
{
    const struct record *record = shell_record(outputs->shell);
    const struct record_pool *said = &record->pools[pool];
    struct output_file *file = NULL;
    if (said->output == OUTPUT_FILE)
        file = file_get(outputs, pool, record_text(record, said->output_path));
    pool_set(outputs, pool, (enum output)said->output, file);
}

void
outputs_forget(struct outputs *outputs, uint32_t pool)
{
    pool_set(outputs, pool, OUTPUT_NULL, NULL);
}

enum output
outputs_of(const struct outputs *outputs, uint32_t pool, struct output_file **file)
{
    uint32_t slot = outputs->slots[pool];
    *file = slot != 0 ? outputs->files[slot - 1] : NULL;
    return (enum output)outputs->kinds[pool];
}

/* --- SIGUSR1 */
static void
tell_reopened(struct outputs *outputs)
{
    struct event_fields fields = {0};
    char refused[64] = "";
    fields_number(&fields, "signal", SIGUSR1);
    fields_number(&fields, "files", outputs->opened);
    if (outputs->refused > 0)
        snprintf(refused, sizeof refused, ", %u could not be", outputs->refused);
    events_emit(shell_events(outputs->shell), EVENT_CONTROL_COMMAND, NULL, (struct worker_id){0},
                &fields, "SIGUSR1: %u output file%s opened again%s", outputs->opened,
                outputs->opened == 1 ? " was" : "s were", refused);
    outputs->reopening = false;
}

static void
reopen_check(struct outputs *outputs)
{
    if (outputs->reopening && outputs->next == NONE && outputs->answers_open == 0)
        tell_reopened(outputs);
}

void
outputs_reopen(struct outputs *outputs)
{
    outputs->reopening = true;
    outputs->opened = outputs->refused = 0;
    outputs->next = 0;
    for (uint32_t i = 0; i < outputs->files_used; i++) {
        struct output_file *file = outputs->files[i];
        if (file == NULL || file->pools == 0)
            continue;
        outputs->answers_open += !file->reopens;
        file->reopens = file->asks = true;
    }
}

static void
reopen_answered(struct outputs *outputs, struct output_file *file, bool is_open)
{
    if (!file->reopens)
        return;
    file->reopens = false;
    outputs->answers_open--;
    outputs->opened += is_open;
    outputs->refused += !is_open;
}

void
outputs_on_opened(struct outputs *outputs, const struct verb *verb, int fd)
{
    struct output_file *file =
        verb->argument < outputs->files_used ? outputs->files[verb->argument] : NULL;
    if (file == NULL || file->request != verb->request) { /* it was asked for again since */
        if (fd >= 0)
            close(fd);
        return;
    }
    file->request = 0;
    if (verb->error == EAGAIN) {
        ask_later(outputs, file);
        return;
    }
    reopen_answered(outputs, file, fd >= 0);
    /* An answer without its descriptor: there are as many open here as may be. */
    output_file_opened(file, fd >= 0 ? fd : -(verb->error != 0 ? verb->error : EMFILE));
}

/* --- time */
static void
ask_some(struct outputs *outputs)
{
    for (uint32_t i = 0; i < TURN_FILES && outputs->next != NONE; i++) {
        if (outputs->next >= outputs->files_used) {
            outputs->next = NONE;
            return;
        }
        struct output_file *file = outputs->files[outputs->next++];
        if (file == NULL || !file->asks)
            continue;
        uint32_t pool = pool_naming(outputs, file);
        file_ask(outputs, file, pool);
        if (file->asks)
            return; /* not now */
        if (pool == NONE)
            reopen_answered(outputs, file, false);
    }
}

msec
outputs_deadline(const struct outputs *outputs)
{
    if (outputs->next != NONE && !shell_config_is_taking(outputs->shell))
        return shell_now(outputs->shell);
    return heap_first_key(&outputs->due);
}

void
outputs_tick(struct outputs *outputs, msec now)
{
    for (uint32_t i = 0; i < TURN_FILES && heap_first_key(&outputs->due) <= now; i++)
        output_file_tick(outputs->files[heap_first(&outputs->due)]);
    if (!shell_config_is_taking(outputs->shell))
        ask_some(outputs);
    reopen_check(outputs);
}

/* --- the end */
bool
outputs_are_written(const struct outputs *outputs)
{
    for (uint32_t i = 0; i < outputs->files_used; i++) {
        if (outputs->files[i] != NULL && !output_file_is_written(outputs->files[i]))
            return false;
    }
    return true;
}

void
outputs_tell_end(const struct outputs *outputs)
{
    for (uint32_t i = 0; i < outputs->files_used; i++) {
        if (outputs->files[i] != NULL)
            output_file_tell_end(outputs->files[i]);
    }
}

/* --- the whole */
int
outputs_create(struct outputs **out, struct shell *shell, uint32_t pools_max,
               outputs_resume_fn *resume, void *ctx, struct err *err)
{
    struct outputs *outputs = calloc(1, sizeof *outputs);
    if (outputs == NULL)
        return err_set(err, -ENOMEM, "out of memory for the table of output files");
    *out = outputs;
    outputs->shell = shell;
    outputs->host = (struct output_host){.io = shell_io(shell),
                                         .events = shell_events(shell),
                                         .ctx = outputs,
                                         .changed = on_changed,
                                         .ask = on_ask};
    outputs->resume = resume;
    outputs->resume_ctx = ctx;
    outputs->pools_max = pools_max;
    outputs->next = NONE;
    size_t files = 2 * (size_t)pools_max + 1;
    outputs->due.nodes_max = 2 * pools_max + 1;
    outputs->kinds = calloc(pools_max + 1u, sizeof *outputs->kinds);
    outputs->slots = calloc(pools_max + 1u, sizeof *outputs->slots);
    outputs->files = calloc(files, sizeof *outputs->files);
    outputs->due.entries = calloc(files, sizeof *outputs->due.entries);
    outputs->due.places = calloc(files, sizeof *outputs->due.places);
    if (outputs->kinds != NULL && outputs->slots != NULL && outputs->files != NULL &&
        outputs->due.entries != NULL && outputs->due.places != NULL)
        return 0;
    outputs_destroy(out);
    return err_set(err, -ENOMEM, "out of memory for the table of output files");
}

void
outputs_destroy(struct outputs **at)
{
    struct outputs *outputs = *at;
    if (outputs == NULL)
        return;
    for (uint32_t i = 0; i < outputs->files_used; i++)
        output_file_destroy(&outputs->files[i]);
    map_fini(&outputs->by_path);
    free(outputs->kinds);
    free(outputs->slots);
    free(outputs->files);
    free(outputs->due.entries);
    free(outputs->due.places);
    free(outputs);
    *at = NULL;
}
