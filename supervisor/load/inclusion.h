/* inclusion.h - the IP addresses that may be listened on at all (`listen_addresses`). */
#ifndef POOLD_LOAD_INCLUSION_H
#define POOLD_LOAD_INCLUSION_H

#include <jansson.h>

#include "common/base.h"
#include "supervisor/record.h"

#define INCLUSION_MAX SOCKETS_A_POOL_MAX /* a wildcard becomes one socket for each */

struct ip_address {
    uint16_t family;
    uint8_t bytes[16]; /* 4 of them for AF_INET */
    const char *text;  /* borrowed from the document */
};

struct inclusion {
    struct ip_address list[INCLUSION_MAX];
    uint32_t count; /* 0: every address */
};

struct load;

/* Takes the value of `listen_addresses`; what is wrong with it is reported. */
void inclusion_take(struct load *, const json_t *array);

/* Whether the socket's address is one of every address of a family. */
bool inclusion_is_wildcard(const struct record_socket *);

/* Whether an address that is no wildcard may be listened on. */
bool inclusion_allows(const struct inclusion *, const struct record_socket *);

/* The same of every socket of a pool in that configuration. */
bool inclusion_allows_all(const struct inclusion *, const struct record *,
                          const struct record_pool *);

/* The i-th address that the wildcard stands for: sets it in *out, a copy of the wildcard, with
 * "ADDRESS:PORT" in text. False: there are no more. */
#define INCLUSION_TEXT_MAX 64
bool inclusion_expand(const struct inclusion *, const struct record_socket *wildcard, uint32_t i,
                      struct record_socket *out, char text[INCLUSION_TEXT_MAX]);

/* "192.0.2.1, ::1", cut when it is too long. Returns buf. */
#define INCLUSION_LIST_MAX 160
const char *inclusion_text(const struct inclusion *, char buf[INCLUSION_LIST_MAX]);

#endif
