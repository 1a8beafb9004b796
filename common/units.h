/* units.h - values with units, as the configuration and the command line write them. */
#ifndef POOLD_UNITS_H
#define POOLD_UNITS_H

#include "common/base.h"
#include "common/err.h"

/* A duration such as "90s", "200ms" or "1h30m": whole numbers with d, h, m, s or ms, the greatest
 * unit first, each at most once. Returns 0, or -EINVAL (-ERANGE: above DURATION_MAX_MS) with the
 * reason in err; out is untouched then. */
int duration_parse(const char *, uint64_t *out_ms, struct err *);

/* A size such as "512MiB" or "800kB": one whole number with B, kB, MB, GB, TB (powers of 1000) or
 * KiB, MiB, GiB, TiB (of 1024); "0" needs no unit. Returns as duration_parse. */
int size_parse(const char *, uint64_t *out_bytes, struct err *);

#define DURATION_MAX_MS (UINT64_C(3660) * 24 * 3600 * 1000) /* ten years: sums cannot overflow */
#define UNIT_TEXT_MAX   48 /* bytes of a formatted value with its NUL */

/* The shortest text that parses to the same value. Return buf. */
const char *duration_format(uint64_t ms, char buf[UNIT_TEXT_MAX]);
const char *size_format(uint64_t bytes, char buf[UNIT_TEXT_MAX]);

/* Seconds since 1970 in the system's zone, as RFC 3339 has it: 2026-11-22T16:03:05+01:00. */
const char *date_format(int64_t seconds, char buf[UNIT_TEXT_MAX]);

/* The number of the signal "TERM" or "SIGTERM"; 0: there is none of that name. */
int signal_number(const char *name);

/* "TERM"; NULL for a number without a name. */
const char *signal_name(int signo);

#endif
