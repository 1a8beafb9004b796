/* words.c - the supervisor's values as people read them. */
#include "supervisor/ctl/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *
words_span(double seconds, char buf[WORDS_MAX])
{
    static const struct {
        long seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    long left = seconds > 0 ? (long)seconds : 0;
    size_t i = 0;
    while (i < ARRAY_LEN(units) - 1 && left < units[i].seconds)
        i++;
    int len = snprintf(buf, WORDS_MAX, "%ld%c", left / units[i].seconds, units[i].letter);
    left %= units[i].seconds;
    if (i + 1 < ARRAY_LEN(units) && left >= units[i + 1].seconds)
        snprintf(buf + len, WORDS_MAX - (size_t)len, "%ld%c", left / units[i + 1].seconds,
                 units[i + 1].letter);
    return buf;
}

const char *
words_since(const char *text, char buf[WORDS_MAX])
{
    struct tm date = {0}, zone = {0};
    buf[0] = '\0';
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
    if (rest == NULL)
        return buf;
    double fraction = rest[0] == '.' ? strtod(rest, NULL) : 0;
    rest += strcspn(rest, "+-Z");
    if (strptime(rest, "%z", &zone) == NULL)
        return buf;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double then = (double)(timegm(&date) - zone.tm_gmtoff) + fraction;
    return words_span((double)now.tv_sec + (double)now.tv_nsec / 1e9 - then, buf);
}

const char *
words_took(double seconds, char buf[WORDS_MAX])
{
    snprintf(buf, WORDS_MAX, seconds < 1 ? "%.2f s" : "%.1f s", seconds);
    return buf;
}

const char *
words_clock(const char *text)
{
    const char *behind_date = strchr(text, 'T');
    return behind_date == NULL ? "" : behind_date + 1;
}
