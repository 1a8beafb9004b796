/* table.c - lines of cells, laid out in columns when all are there. */
#include "supervisor/ctl/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

#define CELL_MAX 1024u

const char *
colour_on(enum colour colour)
{
    static const char *const codes[] = {
        [PLAIN] = "",         [BOLD] = "\033[1m",    [RED] = "\033[31m",
        [GREEN] = "\033[32m", [YELLOW] = "\033[33m", [DIM] = "\033[2m",
    };
    return codes[colour];
}

const char *
colour_off(enum colour colour)
{
    return colour == PLAIN ? "" : "\033[0m";
}

void
table_init(struct table *table, const char *const *headings, uint32_t columns)
{
    assert(columns > 0 && columns <= TABLE_COLUMNS);
    *table = (struct table){.columns = columns};
    for (uint32_t i = 0; i < columns; i++)
        table_cell(table, BOLD, "%s", headings[i]);
}

void
table_fini(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    *table = (struct table){0};
}

void
table_cell(struct table *table, enum colour colour, const char *format, ...)
{
    char raw[CELL_MAX], text[CELL_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(raw, sizeof raw, format, ap);
    va_end(ap);
    text_escape(text, sizeof text, raw[0] == '\0' ? "-" : raw, MAX(strlen(raw), 1));
    if (table->count == table->cap) {
        size_t cap = MAX(table->cap * 2, 64);
        struct table_cell *cells = realloc(table->cells, cap * sizeof *cells);
        if (cells == NULL) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->cap = cap;
    }
    char *copy = strdup(text);
    if (copy == NULL)
        table->failed = true;
    else
        table->cells[table->count++] = (struct table_cell){copy, colour};
}

/* Characters, not bytes: what continues a UTF-8 sequence takes no place. */
static int
width(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void
table_print(const struct table *table, FILE *file, bool colour)
{
    int widths[TABLE_COLUMNS] = {0};
    if (table->failed) {
        fputs("(out of memory)\n", file);
        return;
    }
    for (size_t i = 0; i < table->count; i++) {
        int n = width(table->cells[i].text);
        widths[i % table->columns] = MAX(widths[i % table->columns], n);
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct table_cell *cell = &table->cells[i];
        bool last = i % table->columns == table->columns - 1;
        enum colour shown = colour ? cell->colour : PLAIN;
        int gap = last ? 0 : widths[i % table->columns] - width(cell->text) + 2;
        fprintf(file, "%s%s%s%*s%s", colour_on(shown), cell->text, colour_off(shown), gap, "",
                last ? "\n" : "");
    }
}
