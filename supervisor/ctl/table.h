/* table.h - lines of cells, laid out in columns when all are there. */
#ifndef POOLD_CTL_TABLE_H
#define POOLD_CTL_TABLE_H

#include <stdio.h>

#include "common/base.h"

#define TABLE_COLUMNS 8u

enum colour { PLAIN, BOLD, RED, GREEN, YELLOW, DIM };

struct table_cell {
    char *text;
    enum colour colour;
};

struct table {
    struct table_cell *cells; /* rows of TABLE_COLUMNS; the first row is the heading */
    size_t count, cap;        /* cells */
    uint32_t columns;
    bool failed; /* out of memory */
};

/* headings: columns of them, at most TABLE_COLUMNS. */
void table_init(struct table *, const char *const *headings, uint32_t columns);
void table_fini(struct table *);

/* The next cell of the row that is being filled; rows are filled from left to right and begin by
 * themselves. What is not printable in the text is escaped. "" is shown as "-". */
void table_cell(struct table *, enum colour, const char *format, ...) ATTR_PRINTF(3, 4);

/* Colour is only used if wanted; the last column is not padded. */
void table_print(const struct table *, FILE *, bool colour);

/* Before and after coloured text; "" for PLAIN. */
const char *colour_on(enum colour);
const char *colour_off(enum colour);

#endif
