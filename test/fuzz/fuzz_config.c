/* fuzz_config.c - any bytes are a configuration file: they compile to an image that record_open
 * takes, or to errors that are printable lines. For libFuzzer:
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -std=gnu11 -I. -D_GNU_SOURCE \
 *       -DPOOLD_SYSCONFDIR='"/etc"' test/fuzz/fuzz_config.c supervisor/load/[a-z]*.c \
 *       supervisor/record.c common/[a-z]*.c -ljansson -o fuzz_config
 *   ./fuzz_config -dict=test/fuzz/config.dict -max_len=4096 -max_total_time=60 FOLDER */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "supervisor/load/load.h"
#include "supervisor/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every line has the name of the file in front and nothing in it that could not be shown. */
static void
check_errors(const char *errors)
{
    while (*errors != '\0') {
        size_t len = strcspn(errors, "\n");
        if (errors[len] != '\n' ||
            (strncmp(errors, "c.json:", 7) != 0 && strncmp(errors, "and ", 4) != 0))
            abort();
        for (size_t i = 0, n; i < len; i += n) {
            n = text_printable(errors + i, len - i);
            if (n == 0)
                abort();
        }
        errors += len + 1;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct load_options options = {.config = "c.json"};
    struct load_result result;
    struct record record;
    struct err err;
    if (load_compile_text(&options, (const char *)data, size, &result, &err) != 0)
        return 0; /* out of memory */
    if (record_open(&record, result.image, result.size) != 0)
        abort();
    if (record.header->errors > 0)
        check_errors(record.text);
    load_result_fini(&result);
    return 0;
}
