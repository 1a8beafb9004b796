/* json_scan.c - where in a JSON text each value stands. */
#include "common/json_scan.h"

#include <string.h>

#include "common/hash.h"
#include "common/json.h"

struct level {
    uint64_t path;
    size_t offset; /* of its bracket: tells this object from all others */
    size_t index;  /* of the next element */
    bool is_object;
};

struct scanner {
    const char *text;
    size_t len;
    struct json_place at;
    json_visit *visit;
    void *arg;
    struct level levels[JSON_DEPTH_MAX];
    unsigned depth;
};

/* A pointer is the hash of its parent and the hash of its last key, so {"a/b": 1} and
 * {"a": {"b": 1}} differ. */
static uint64_t
json_path_step(uint64_t path, uint64_t key)
{
    return hash_bytes(path, &key, sizeof key);
}

uint64_t
json_path_member(uint64_t path, const char *key)
{
    return json_path_step(path, hash_bytes(HASH_START, key, strlen(key)));
}

uint64_t
json_path_element(uint64_t path, size_t index)
{
    return json_path_step(path, hash_bytes(HASH_START, &index, sizeof index));
}

static void
step(struct json_place *at, char c)
{
    at->offset++;
    if (c == '\n') {
        at->line++;
        at->column = 1;
    } else if (((unsigned char)c & 0xc0) != 0x80) {
        at->column++; /* a continuation byte belongs to the character before */
    }
}

struct json_place
json_place_of(const char *text, size_t len, size_t offset)
{
    struct json_place at = {.offset = 0, .line = 1, .column = 1};
    while (at.offset < offset && at.offset < len)
        step(&at, text[at.offset]);
    return at;
}

/* The byte at the scanner, or NUL at the end. */
static char
peek(const struct scanner *s)
{
    return s->at.offset < s->len ? s->text[s->at.offset] : '\0';
}

static void
advance(struct scanner *s)
{
    if (s->at.offset < s->len)
        step(&s->at, s->text[s->at.offset]);
}

static void
skip_space(struct scanner *s)
{
    while (peek(s) != '\0' && strchr(" \t\r\n", peek(s)) != NULL)
        advance(s);
}

static bool
take(struct scanner *s, char c)
{
    skip_space(s);
    if (peek(s) != c || s->at.offset >= s->len)
        return false;
    advance(s);
    return true;
}

static int
hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
    return found == NULL ? -1 : (int)(found - digits);
}

/* The four digits behind \u; false: not four. */
static bool
read_unicode(struct scanner *s, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(peek(s));
        if (digit < 0)
            return false;
        *code = *code << 4 | (uint32_t)digit;
        advance(s);
    }
    return true;
}

static size_t
encode_utf8(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)((0xf00u >> n & 0xf0u) | code);
    return n;
}

/* One escape behind its backslash, decoded into out. Returns its bytes, 0: it is none. */
static size_t
read_escape(struct scanner *s, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = peek(s);
    advance(s);
    const char *simple = c == '\0' ? NULL : strchr(from, c);
    if (simple != NULL) {
        out[0] = to[simple - from];
        return 1;
    }
    uint32_t code, low;
    if (c != 'u' || !read_unicode(s, &code))
        return 0;
    if (code >= 0xd800 && code < 0xdc00) {
        if (peek(s) != '\\')
            return 0;
        advance(s);
        if (peek(s) != 'u')
            return 0;
        advance(s);
        if (!read_unicode(s, &low) || low < 0xdc00 || low > 0xdfff)
            return 0;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return encode_utf8(out, code);
}

/* Reads a string; its text, unescaped, is added to hash. */
static bool
read_string(struct scanner *s, uint64_t *hash)
{
    if (!take(s, '"'))
        return false;
    for (;;) {
        char decoded[4] = {peek(s)};
        size_t n = 1;
        if (s->at.offset >= s->len || (unsigned char)decoded[0] < 0x20)
            return false;
        advance(s);
        if (decoded[0] == '"')
            return true;
        if (decoded[0] == '\\')
            n = read_escape(s, decoded);
        if (n == 0)
            return false;
        *hash = hash_bytes(*hash, decoded, n);
    }
}

/* Numbers and words are not judged: whoever needs a valid text has parsed it. */
static bool
skip_scalar(struct scanner *s)
{
    size_t start = s->at.offset;
    while (peek(s) != '\0' && strchr(" \t\r\n,]}:[{\"", peek(s)) == NULL)
        advance(s);
    return s->at.offset > start;
}

static void
visit(struct scanner *s, const struct json_node *node)
{
    if (s->visit != NULL)
        s->visit(node, s->arg);
}

/* Reads a scalar, or enters an object or array. */
static bool
read_value(struct scanner *s, struct json_node *node)
{
    skip_space(s);
    node->value = s->at;
    if (node->member == 0)
        node->key = node->value;
    visit(s, node);
    char c = peek(s);
    if (c != '{' && c != '[') {
        uint64_t ignored = 0;
        return c == '"' ? read_string(s, &ignored) : skip_scalar(s);
    }
    if (s->depth == JSON_DEPTH_MAX)
        return false;
    s->levels[s->depth++] =
        (struct level){.path = node->path, .offset = s->at.offset, .is_object = c == '{'};
    advance(s);
    return true;
}

/* Reads the key and the value of the next member of the innermost object. */
static bool
read_member(struct scanner *s, const struct level *level, size_t index)
{
    struct json_node node = {.depth = s->depth, .index = index};
    skip_space(s);
    node.key = s->at;
    uint64_t key = HASH_START;
    if (!read_string(s, &key) || !take(s, ':'))
        return false;
    node.path = json_path_step(level->path, key);
    node.member = hash_bytes(key, &level->offset, sizeof level->offset) | 1;
    return read_value(s, &node);
}

/* One step inside the innermost object or array: its end, or the next value. */
static bool
read_inside(struct scanner *s)
{
    struct level *level = &s->levels[s->depth - 1];
    if (take(s, level->is_object ? '}' : ']')) {
        s->depth--;
        return true;
    }
    if (level->index > 0 && !take(s, ','))
        return false;
    size_t index = level->index++;
    if (level->is_object)
        return read_member(s, level, index);
    struct json_node node = {
        .depth = s->depth, .index = index, .path = json_path_element(level->path, index)};
    return read_value(s, &node);
}

size_t
json_scan(const char *text, size_t len, json_visit *visitor, void *arg)
{
    struct scanner s = {.text = text, .len = len, .visit = visitor, .arg = arg};
    s.at = (struct json_place){.line = 1, .column = 1};
    struct json_node root = {.path = JSON_PATH_ROOT};
    bool good = read_value(&s, &root);
    while (good && s.depth > 0)
        good = read_inside(&s);
    if (good)
        skip_space(&s);
    return s.at.offset;
}
