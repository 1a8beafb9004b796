/* driver.c - runs a fuzz target without libFuzzer: over every file of a corpus, every prefix of each,
 * and RUNS seeded mutations of them. What fails is named; a seed alone is run again by
 * RUNS 1.
 *
 *   driver RUNS SEED WORDS FILE... */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "common/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_ = 8192, WORDS_MAX = 256, STEPS_MAX = 6 };

struct input {
    uint8_t *bytes;
    size_t len;
};

static struct input words[WORDS_MAX];
static size_t word_count;
static uint64_t state;
static const char *phase = "prefix"; /* what runs now: the one of `number` */
static size_t number;

static size_t
below(size_t limit)
{
    state = hash_mix(state + UINT64_C(0x9e3779b97f4a7c15));
    return limit == 0 ? 0 : (size_t)(state % limit);
}

/* Says which run it was, and lets the signal end the process. */
static void
on_fault(int signo)
{
    char line[96];
    int len = snprintf(line, sizeof line, "fuzz: signal %d with %s %zu\n", signo, phase, number);
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)len);
    (void)ignored;
    signal(signo, SIG_DFL);
    raise(signo);
}

static struct input
read_input(const char *path)
{
    FILE *file = fopen(path, "re");
    struct input input = {.bytes = malloc(SIZE_MAX_)};
    if (file == NULL || input.bytes == NULL) {
        fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    input.len = fread(input.bytes, 1, SIZE_MAX_, file);
    fclose(file);
    return input;
}

/* The words of a libFuzzer dictionary: "WORD" a line, with \" \\ and \xNN. */
static void
read_words(const char *path)
{
    char line[256];
    FILE *file = fopen(path, "re");
    while (file != NULL && word_count < WORDS_MAX && fgets(line, sizeof line, file) != NULL) {
        struct input word = {.bytes = calloc(1, sizeof line)};
        for (const char *at = line + 1; word.bytes != NULL && *at != '\0' && *at != '"'; at++) {
            if (*at == '\\' && at[1] != '\0')
                at++;
            word.bytes[word.len++] = (uint8_t)*at;
        }
        if (line[0] == '"' && word.len > 0)
            words[word_count++] = word;
        else
            free(word.bytes);
    }
    if (file != NULL)
        fclose(file);
}

/* A copy of exactly that size: a sanitizer sees what is read behind it. */
static void
run(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len + (len == 0));
    if (exact == NULL)
        exit(2);
    memcpy(exact, bytes, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

/* At most that many; not MIN, which would draw twice. */
static size_t
at_most(size_t limit, size_t drawn)
{
    return drawn < limit ? drawn : limit;
}

/* Puts insert bytes in the place of remove ones. */
static void
splice(struct input *input, size_t at, size_t remove, const uint8_t *insert, size_t count)
{
    if (input->len - remove + count > SIZE_MAX_)
        return;
    memmove(input->bytes + at + count, input->bytes + at + remove, input->len - at - remove);
    if (count > 0)
        memcpy(input->bytes + at, insert, count);
    input->len = input->len - remove + count;
}

static void
mutate(struct input *input, const struct input *other)
{
    static const char marks[] = "{}[]\",:0-9e.\\u\x1e\n\x7f\xff";
    size_t at = below(input->len + 1), rest = input->len - at, from = below(other->len);
    uint8_t byte = (uint8_t)marks[below(sizeof marks)];
    const struct input *word = word_count == 0 ? other : &words[below(word_count)];
    switch (below(6)) {
    case 0:
        splice(input, at, at_most(rest, 1 + below(4)), NULL, 0);
        return;
    case 1:
        splice(input, at, at_most(rest, below(2)), &byte, 1);
        return;
    case 2:
        byte = (uint8_t)below(256);
        splice(input, at, MIN(rest, 1), &byte, 1);
        return;
    case 3:
        splice(input, at, 0, word->bytes, MIN(word->len, 200));
        return;
    case 4:
        splice(input, at, at_most(rest, below(20)), other->bytes + from,
               below(other->len - from + 1));
        return;
    default: /* one string for another word */
        for (; at < input->len && input->bytes[at] != '"'; at++)
            ;
        for (rest = 1; at + rest < input->len && input->bytes[at + rest] != '"'; rest++)
            ;
        if (at + rest < input->len)
            splice(input, at, rest + 1, word->bytes, MIN(word->len, 200));
        return;
    }
}

int
main(int argc, char **argv)
{
    static uint8_t room[2 * SIZE_MAX_];
    if (argc < 5) {
        fprintf(stderr, "usage: %s RUNS SEED WORDS FILE...\n", argv[0]);
        return 2;
    }
    size_t runs = strtoul(argv[1], NULL, 10), seed = strtoul(argv[2], NULL, 10), prefixes = 0;
    size_t count = (size_t)argc - 4;
    struct input *corpus = calloc(count, sizeof *corpus);
    if (corpus == NULL)
        return 2;
    const int faults[] = {SIGABRT, SIGSEGV, SIGBUS, SIGALRM};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        signal(faults[i], on_fault);
    read_words(argv[3]);
    for (size_t i = 0; i < count; i++) {
        corpus[i] = read_input(argv[4 + i]);
        for (size_t len = 0; len <= corpus[i].len; len++, number = ++prefixes)
            run(corpus[i].bytes, len);
    }
    phase = "seed";
    for (size_t i = 0; i < runs; i++) {
        number = seed + i;
        state = hash_mix(number);
        const struct input *from = &corpus[below(count)];
        struct input input = {.bytes = room, .len = from->len};
        memcpy(room, from->bytes, from->len);
        for (size_t steps = 1 + below(STEPS_MAX); steps > 0; steps--)
            mutate(&input, &corpus[below(count)]);
        alarm(20); /* a run that hangs fails */
        run(room, input.len);
    }
    printf("fuzz: %zu files, %zu prefixes, %zu mutations from seed %zu: no fault\n", count,
           prefixes, runs, seed);
    for (size_t i = 0; i < count; i++)
        free(corpus[i].bytes);
    free(corpus);
    for (size_t i = 0; i < word_count; i++)
        free(words[i].bytes);
    return 0;
}
