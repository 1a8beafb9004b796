/* units.c - values with units, as the configuration and the command line write them. */
#include "common/units.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct unit {
    const char *name;
    uint64_t value;
};

/* clang-format off */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit size_units[] = {
    {"TiB", UINT64_C(1) << 40}, {"TB", UINT64_C(1000000000000)},
    {"GiB", UINT64_C(1) << 30}, {"GB", UINT64_C(1000000000)},
    {"MiB", UINT64_C(1) << 20}, {"MB", UINT64_C(1000000)},
    {"KiB", UINT64_C(1) << 10}, {"kB", UINT64_C(1000)},
    {"B", 1},
};

#define SIGNALS(X)                                                                              \
    X(HUP) X(INT) X(QUIT) X(ILL) X(TRAP) X(ABRT) X(BUS) X(FPE) X(KILL) X(USR1) X(SEGV) X(USR2) \
    X(PIPE) X(ALRM) X(TERM) X(STKFLT) X(CHLD) X(CONT) X(STOP) X(TSTP) X(TTIN) X(TTOU) X(URG)   \
    X(XCPU) X(XFSZ) X(VTALRM) X(PROF) X(WINCH) X(IO) X(PWR) X(SYS)
/* clang-format on */

#define SIGNAL_ROW_(n) [SIG##n] = #n,
static const char *const signal_names[] = {SIGNALS(SIGNAL_ROW_)};

/* Reads a number at *text and moves behind its digits. False: no digits, or above UINT64_MAX. */
static bool
read_number(const char **text, uint64_t *out)
{
    const char *p = *text;
    uint64_t value = 0;
    while (*p >= '0' && *p <= '9') {
        uint64_t digit = (uint64_t)(*p++ - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (p == *text)
        return false;
    *text = p;
    *out = value;
    return true;
}

/* The unit whose name stands at *text up to a digit or the end; moves behind it. */
static const struct unit *
read_unit(const char **text, const struct unit *units, size_t count)
{
    size_t len = strcspn(*text, "0123456789");
    for (size_t i = 0; i < count; i++) {
        if (strlen(units[i].name) == len && memcmp(*text, units[i].name, len) == 0) {
            *text += len;
            return &units[i];
        }
    }
    return NULL;
}

static int
not_a_duration(struct err *err)
{
    return err_set(err, -EINVAL,
                   "a duration is whole numbers with units, the greatest first: "
                   "\"90s\", \"20m\", \"29h\", \"1h30m\", \"200ms\"");
}

int
duration_parse(const char *text, uint64_t *out_ms, struct err *err)
{
    const struct unit *last = NULL;
    uint64_t sum = 0;
    do {
        uint64_t number;
        if (!read_number(&text, &number))
            return not_a_duration(err);
        const struct unit *unit = read_unit(&text, duration_units, ARRAY_LEN(duration_units));
        if (unit == NULL || (last != NULL && unit <= last))
            return not_a_duration(err);
        if (number > DURATION_MAX_MS / unit->value || number * unit->value > DURATION_MAX_MS - sum)
            return err_set(err, -ERANGE, "a duration of more than ten years");
        sum += number * unit->value;
        last = unit;
    } while (*text != '\0');
    *out_ms = sum;
    return 0;
}

int
size_parse(const char *text, uint64_t *out_bytes, struct err *err)
{
    uint64_t number;
    const struct unit *unit = NULL;
    bool is_number = read_number(&text, &number);
    if (is_number && number == 0 && *text == '\0') {
        *out_bytes = 0;
        return 0;
    }
    if (is_number)
        unit = read_unit(&text, size_units, ARRAY_LEN(size_units));
    if (unit == NULL || *text != '\0')
        return err_set(err, -EINVAL,
                       "a size is a whole number with kB, MB, GB, TB or KiB, MiB, "
                       "GiB, TiB: \"512MiB\", \"800kB\"");
    if (number > UINT64_MAX / unit->value)
        return err_set(err, -ERANGE, "a size of more than 64 bits");
    *out_bytes = number * unit->value;
    return 0;
}

const char *
duration_format(uint64_t ms, char buf[UNIT_TEXT_MAX])
{
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(duration_units); i++) {
        uint64_t number = ms / duration_units[i].value;
        if (number == 0)
            continue;
        at += (size_t)snprintf(buf + at, UNIT_TEXT_MAX - at, "%" PRIu64 "%s", number,
                               duration_units[i].name);
        ms %= duration_units[i].value;
    }
    if (at == 0)
        snprintf(buf, UNIT_TEXT_MAX, "0s");
    return buf;
}

const char *
size_format(uint64_t bytes, char buf[UNIT_TEXT_MAX])
{
    if (bytes == 0)
        return memcpy(buf, "0", 2);
    size_t i = 0;
    while (bytes % size_units[i].value != 0)
        i++; /* ends at "B", which divides everything */
    snprintf(buf, UNIT_TEXT_MAX, "%" PRIu64 "%s", bytes / size_units[i].value, size_units[i].name);
    return buf;
}

const char *
date_format(int64_t seconds, char buf[UNIT_TEXT_MAX])
{
    time_t at = (time_t)seconds;
    struct tm local = {0};
    if (localtime_r(&at, &local) == NULL) /* a year that no int holds */
        return memcpy(buf, "?", 2);
    long minutes = (local.tm_gmtoff < 0 ? -local.tm_gmtoff : local.tm_gmtoff) / 60;
    size_t len = strftime(buf, UNIT_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &local);
    snprintf(buf + len, UNIT_TEXT_MAX - len, "%c%02ld:%02ld", local.tm_gmtoff < 0 ? '-' : '+',
             minutes / 60, minutes % 60);
    return buf;
}

int
signal_number(const char *name)
{
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (size_t i = 0; i < ARRAY_LEN(signal_names); i++) {
        if (signal_names[i] != NULL && strcmp(signal_names[i], name) == 0)
            return (int)i;
    }
    return 0;
}

const char *
signal_name(int signo)
{
    return signo > 0 && (size_t)signo < ARRAY_LEN(signal_names) ? signal_names[signo] : NULL;
}
