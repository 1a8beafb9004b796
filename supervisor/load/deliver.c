/* deliver.c - what becomes of a compiled configuration: a sealed memfd, or a verdict to read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "supervisor/load/advice.h"
#include "supervisor/load/load.h"
#include "supervisor/record.h"
#include "supervisor/verbs.h"

static int
write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? -EIO : -errno;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

/* After the seals nobody, not even this process, can change the image: readers check it once. */
static int
write_sealed(int fd, const struct load_result *result, struct err *err)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
        return err_errno(err, -errno, "cannot empty the memfd");
    int r = write_all(fd, result->image, result->size);
    if (r != 0)
        return err_errno(err, r, "cannot write the memfd");
    if (fcntl(fd, F_ADD_SEALS, seals) != 0)
        return err_errno(err, -errno, "cannot seal the memfd");
    return 0;
}

static void
tell_refused(const struct load_options *options, const struct load_result *result)
{
    struct record record;
    record_view(&record, result->image, result->size);
    if (record.header->errors > 0 && options->refused != NULL)
        options->refused(options->refused_ctx, &record);
}

int
load_main(const struct load_options *options)
{
    struct load_result result = {0};
    struct err err;
    int r = load_compile(options, &result, &err);
    if (r == 0)
        r = write_sealed(LOADER_MEMFD_FD, &result, &err);
    if (r == 0)
        tell_refused(options, &result);
    load_result_fini(&result);
    if (r != 0)
        fprintf(stderr, "poold: the configuration was not loaded: %s\n", err.text);
    return r == 0 ? 0 : 1;
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
    if (header->errors > 0)
        fputs(record->text, out);
    else
        fprintf(out, "%s: %u pool%s, %u socket%s: valid\n", record_text(record, header->source),
                header->pools, header->pools == 1 ? "" : "s", header->sockets,
                header->sockets == 1 ? "" : "s");
    print_warnings(record_text(record, header->warning_text), out);
    advice_print(record, out);
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
