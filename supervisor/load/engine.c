/* engine.c - the words that the engine is started with, complete: the keeper adds none. */
#include <string.h>

#include "supervisor/load/compile.h"

static void
word_add(struct buffer *words, struct record_strings *strings, const char *word)
{
    buffer_add(words, word, strlen(word) + 1);
    strings->count++;
}

/* Only what was given. */
static void
option_add(struct buffer *words, struct record_strings *strings, const char *name,
           const char *value)
{
    if (value == NULL)
        return;
    word_add(words, strings, name);
    word_add(words, strings, value);
}

void
engine_words_put(struct load *load, struct record_header *header)
{
    const struct load_options *options = load->options;
    struct buffer words = {0};
    char uid[16], gid[16];
    header->runtime = image_string(&load->image, options->runtime);
    snprintf(uid, sizeof uid, "%u", header->engine_uid);
    snprintf(gid, sizeof gid, "%u", header->engine_gid);
    const char *const who[] = {"poold-exec", "engine", uid, gid, "poold-engine"};
    for (size_t i = 0; i < ARRAY_LEN(who); i++)
        word_add(&words, &header->engine, who[i]);
    option_add(&words, &header->engine, "--runtime-dir", options->runtime);
    option_add(&words, &header->engine, "--config", options->config);
    option_add(&words, &header->engine, "--state-dir", options->state_dir);
    option_add(&words, &header->engine, "--engine-user", options->engine_user);
    for (uint32_t i = 0; i < options->log_count; i++)
        option_add(&words, &header->engine, "--log", options->logs[i]);
    header->engine.at = image_bytes(&load->image, words.bytes, words.len, 1);
    header->engine.bytes = (uint32_t)words.len;
    load->failed = load->failed || words.failed;
    buffer_fini(&words);
}
