/* fuzz_message.c - any bytes are a datagram: malformed, or a message whose texts lie in the datagram, that
 * can be written, and that says the same when it is read again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool holds, const char *claim)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_message: %s\n", claim);
    abort();
}

static void
expect_inside(const char *text, size_t len, const char *data, size_t size)
{
    expect(text >= data && len <= size && text - data <= (ptrdiff_t)(size - len),
           "a text lies outside of its datagram");
    expect(memchr(text, '\n', len) == NULL, "a text has more than one line");
}

static void
expect_same(const struct message *a, const struct message *b)
{
    expect(a->keys == b->keys, "what was written says other keys");
#define MESSAGE_FLAG(bit, key, value)
#define MESSAGE_NUMBER(bit, key, field)                                                            \
    if (a->keys & MESSAGE_##bit)                                                                   \
        expect(a->field == b->field, "what was written has another " key);
#define MESSAGE_TEXT(bit, key, field)                                                              \
    if (a->keys & MESSAGE_##bit)                                                                   \
        expect(a->field##_len == b->field##_len &&                                                 \
                   memcmp(a->field, b->field, a->field##_len) == 0,                                \
               "what was written has another " key);
#include "common/message.def"
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message, again;
    char text[2 * MESSAGE_MAX];
    if (!message_read(&message, (const char *)data, size))
        return 0;
#define MESSAGE_FLAG(bit, key, value)
#define MESSAGE_NUMBER(bit, key, field)
#define MESSAGE_TEXT(bit, key, field)                                                              \
    if (message.keys & MESSAGE_##bit)                                                              \
        expect_inside(message.field, message.field##_len, (const char *)data, size);
#include "common/message.def"
    size_t len = message_write(text, sizeof text, &message);
    expect((len == 0) == (message.keys == 0), "a message cannot be written");
    expect(message_read(&again, text, MIN(len, MESSAGE_MAX)), "what was written is malformed");
    expect_same(&message, &again);
    return 0;
}
