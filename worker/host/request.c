/* request.c - judges a request's headers before anybody acts on them. */
#include "worker/host/request.h"

#include <microhttpd.h>
#include <string.h>
#include <strings.h>

#include "worker/host/token.h"

enum { HEADERS_MAX = 100 };

struct counts {
    unsigned all, bad, hosts, lengths, codings;
    uint64_t length;
    bool is_chunked;
};

static void
take_length(struct counts *counts, const char *value)
{
    uint64_t length = 0;
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 18 || value[digits] != '\0') {
        counts->lengths += 2; /* as bad as two */
        return;
    }
    for (size_t i = 0; i < digits; i++)
        length = length * 10 + (uint64_t)(value[i] - '0');
    if (counts->lengths++ == 0)
        counts->length = length;
}

static enum MHD_Result
take_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len,
            const char *value, size_t value_len)
{
    struct counts *counts = context;
    (void)kind;
    counts->all++;
    if (!token_is(name, name_len) || !token_is_value(value, value_len))
        counts->bad++;
    else if (strcasecmp(name, "Host") == 0)
        counts->hosts++;
    else if (strcasecmp(name, "Content-Length") == 0)
        take_length(counts, value);
    else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        counts->codings++;
        counts->is_chunked = strcasecmp(value, "chunked") == 0;
    }
    return MHD_YES;
}

enum refusal
request_judge(struct MHD_Connection *mhd, uint64_t head_max, struct request_facts *out)
{
    struct counts counts = {0};
    *out = (struct request_facts){.is_ambiguous = true};
    out->head_size =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, take_header, &counts);
    if (counts.bad > 0 || counts.hosts > 1)
        return REFUSAL_BAD_HEADERS;
    if (counts.lengths + counts.codings > 1)
        return REFUSAL_BAD_LENGTH;
    if (counts.codings == 1 && !counts.is_chunked)
        return REFUSAL_BAD_CODING;
    out->is_ambiguous = false;
    out->length = counts.codings == 1 ? UINT64_MAX : counts.length;
    return out->head_size > head_max || counts.all > HEADERS_MAX ? REFUSAL_HEAD_TOO_LARGE
                                                                 : REFUSAL_NONE;
}
