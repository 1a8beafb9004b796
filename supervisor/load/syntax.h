/* syntax.h - from the text of a file to its tree, with every duplicate key reported. */
#ifndef POOLD_LOAD_SYNTAX_H
#define POOLD_LOAD_SYNTAX_H

#include "supervisor/load/compile.h"

/* Parses the text of the source of that number. Returns the tree (the caller's), or NULL when there
 * is none; what is wrong has been reported. A tree is returned for a text with duplicate keys too, so
 * that the rest can be judged. */
json_t *syntax_parse(struct load *, uint32_t file, const char *text, size_t len);

#endif
