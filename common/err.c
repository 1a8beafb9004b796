/* err.c - one failure and its story. */
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
err_format(struct err *err, const char *format, va_list ap)
{
    int n = vsnprintf(err->text, sizeof err->text, format, ap);
    if (n < 0)
        err->text[0] = '\0';
    else if ((size_t)n >= sizeof err->text)
        memcpy(err->text + sizeof err->text - 4, "...", 4);
}

int
err_set(struct err *err, int code, const char *format, ...)
{
    assert(code < 0);
    if (err == NULL)
        return code;
    va_list ap;
    va_start(ap, format);
    err_format(err, format, ap);
    va_end(ap);
    err->code = code;
    return code;
}

int
err_errno(struct err *err, int code, const char *format, ...)
{
    assert(code < 0);
    if (err == NULL)
        return code;
    va_list ap;
    va_start(ap, format);
    err_format(err, format, ap);
    va_end(ap);
    err->code = code;
    size_t len = strlen(err->text);
    char reason[96];
    snprintf(err->text + len, sizeof err->text - len, ": %s",
             strerror_r(-code, reason, sizeof reason));
    return code;
}
