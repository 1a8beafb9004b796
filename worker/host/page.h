/* page.h - the page that every path answers when there is nothing to serve. */
#ifndef POOLWORKER_HOST_PAGE_H
#define POOLWORKER_HOST_PAGE_H

struct handler;

extern const struct handler page_handler;

#endif
