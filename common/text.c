/* text.c - text from outside made fit to stand in one line of ours. */
#include "common/text.h"

#include <string.h>

#define ESCAPE_LEN 4u  /* \xNN */
#define PIECE_MAX  16u /* a character of four bytes, all of them escaped */
#define MARK       "..."
#define MARK_LEN   3u

/* The length of the UTF-8 character at in and its code point; 0: not valid there (also when it is
 * overlong, a surrogate, or above U+10FFFF). RFC 3629. */
static size_t
utf8_decode(const unsigned char *in, size_t len, uint32_t *out_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t need = in[0] < 0x80 ? 1 : in[0] < 0xc2 ? 0 : in[0] < 0xe0 ? 2 : in[0] < 0xf0 ? 3 : 4;
    if (need == 0 || need > len || in[0] > 0xf4)
        return 0;
    if (need == 1) {
        *out_point = in[0];
        return 1;
    }
    uint32_t point = in[0] & (0x7fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((in[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (in[i] & 0x3f);
    }
    if (point < least[need] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *out_point = point;
    return need;
}

/* Characters that move a cursor, end a line, or turn the direction of what follows. */
static bool
is_harmful(uint32_t point)
{
    if (point < 0x20 || (point >= 0x7f && point <= 0x9f))
        return true;
    return point == 0x061c || point == 0x200e || point == 0x200f ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

/* Writes count bytes as \xNN; returns the length. */
static size_t
escape_bytes(char *out, const unsigned char *in, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[i * ESCAPE_LEN] = '\\';
        out[i * ESCAPE_LEN + 1] = 'x';
        out[i * ESCAPE_LEN + 2] = digits[in[i] >> 4];
        out[i * ESCAPE_LEN + 3] = digits[in[i] & 15];
    }
    return count * ESCAPE_LEN;
}

size_t
text_escape(char *out, size_t cap, const char *in, size_t len)
{
    assert(cap > MARK_LEN);
    const unsigned char *from = (const unsigned char *)in;
    size_t at = 0;   /* bytes in out */
    size_t safe = 0; /* the last boundary after which the mark still fits */
    for (size_t i = 0; i < len;) {
        char piece[PIECE_MAX];
        uint32_t point = 0;
        size_t taken = utf8_decode(from + i, len - i, &point);
        size_t size;
        if (taken == 0 || is_harmful(point)) {
            taken = taken == 0 ? 1 : taken;
            size = escape_bytes(piece, from + i, taken);
        } else {
            size = taken;
            memcpy(piece, from + i, taken);
        }
        if (at + size >= cap) {
            memcpy(out + safe, MARK, MARK_LEN + 1);
            return safe + MARK_LEN;
        }
        memcpy(out + at, piece, size);
        at += size;
        i += taken;
        if (at + MARK_LEN < cap)
            safe = at;
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
