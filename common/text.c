/* text.c - text that strangers wrote: made printable, judged, and compared with what was meant. */
#include "common/text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MARK     "..." /* ends what was cut */
#define MARK_LEN 3u

/* clang-format off */
/* Well-formed characters that must not reach a screen or a log as they are. */
static const struct { uint32_t first, last; } text_hidden[] = {
    {0x0000,  0x001f},  /* C0 */
    {0x007f,  0x009f},  /* DEL, C1 */
    {0x00ad,  0x00ad},  /* soft hyphen */
    {0x061c,  0x061c},  /* Arabic letter mark */
    {0x180e,  0x180e},  /* Mongolian vowel separator */
    {0x200b,  0x200f},  /* zero width, left-to-right and right-to-left mark */
    {0x2028,  0x202e},  /* line and paragraph separator, embeddings and overrides */
    {0x2060,  0x206f},  /* word joiner, invisible operators, isolates, deprecated controls */
    {0xd800,  0xdfff},  /* halves of surrogate pairs */
    {0xfeff,  0xfeff},  /* byte order mark */
    {0xfff9,  0xfffb},  /* interlinear annotation */
    {0xe0000, 0xe0fff}, /* tags, variation selectors */
};
/* clang-format on */

/* Bytes of the UTF-8 sequence at p and its code point; 0: malformed, overlong or cut (RFC 3629). */
static size_t
text_decode(const unsigned char *p, size_t len, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (len == 0)
        return 0;
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n > len)
        return 0;
    uint32_t value = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3fu);
    }
    if (value < least[n] || value > 0x10ffff)
        return 0;
    *code = value;
    return n;
}

size_t
text_printable(const void *p, size_t len)
{
    uint32_t code;
    size_t n = text_decode(p, len, &code);
    if (n == 0)
        return 0;
    if (code >= 0x20 && code < 0x7f)
        return n;
    for (size_t i = 0; i < ARRAY_LEN(text_hidden); i++) {
        if (code >= text_hidden[i].first && code <= text_hidden[i].last)
            return 0;
    }
    return (code & 0xfffe) == 0xfffe ? 0 : n; /* the last two of each plane are no characters */
}

bool
text_is_printable(const char *string)
{
    size_t len = strlen(string);
    while (len > 0) {
        size_t n = text_printable(string, len);
        if (n == 0)
            return false;
        string += n;
        len -= n;
    }
    return true;
}

/* How many of the len bytes at p, from the first on, are printable ASCII: nearly always all. */
static size_t
text_plain(const unsigned char *p, size_t len)
{
    size_t plain = 0;
    while (plain < len && p[plain] >= 0x20 && p[plain] < 0x7f)
        plain++;
    return plain;
}

size_t
text_escape(char *out, size_t cap, const void *bytes, size_t len)
{
    assert(cap > MARK_LEN);
    const unsigned char *p = bytes;
    size_t at = 0, safe = 0; /* safe: the last boundary after which the mark still fits */
    while (len > 0) {
        size_t room = at + MARK_LEN < cap ? cap - at - MARK_LEN - 1 : 0;
        size_t plain = text_plain(p, MIN(len, room));
        if (plain > 0) {
            memcpy(out + at, p, plain);
            at += plain;
            p += plain;
            len -= plain;
            continue;
        }
        char piece[sizeof "\\xNN"];
        size_t taken = text_printable(p, len), made = taken;
        if (taken > 0) {
            memcpy(piece, p, taken);
        } else {
            made = (size_t)snprintf(piece, sizeof piece, "\\x%02x", (unsigned)p[0]);
            taken = 1;
        }
        if (at + MARK_LEN < cap)
            safe = at;
        if (at + made >= cap) {
            memcpy(out + safe, MARK, MARK_LEN + 1);
            return safe + MARK_LEN;
        }
        memcpy(out + at, piece, made);
        at += made;
        p += taken;
        len -= taken;
    }
    out[at] = '\0';
    return at;
}

size_t
text_cut(char *text, size_t len, size_t max)
{
    assert(max >= MARK_LEN && max <= len);
    size_t keep = max - MARK_LEN;
    while (keep > 0 && ((unsigned char)text[keep] & 0xc0) == 0x80)
        keep--;
    memcpy(text + keep, MARK, MARK_LEN + 1);
    return keep + MARK_LEN;
}

unsigned
text_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > TEXT_WORD_MAX || b_len > TEXT_WORD_MAX)
        return UINT_MAX;
    unsigned rows[3][TEXT_WORD_MAX + 1]; /* of the matrix: this one and the two before */
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = MIN(best, MIN(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = MIN(best, above2[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

void
text_nearest_init(struct text_nearest *nearest, const char *word)
{
    nearest->word = word;
    nearest->best[0] = '\0';
    /* One slip in three letters. */
    size_t len = strlen(word);
    nearest->distance = len > TEXT_WORD_MAX ? 0 : (unsigned)(len + 1) / 3 + 1;
}

void
text_nearest_offer(struct text_nearest *nearest, const char *candidate)
{
    unsigned distance = text_distance(nearest->word, candidate);
    if (distance >= nearest->distance)
        return;
    nearest->distance = distance;
    memcpy(nearest->best, candidate, strlen(candidate) + 1); /* distance is finite: it fits */
}
