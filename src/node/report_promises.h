/* report_promises -- what was refused, waited for and sent on, as metrics. */
#ifndef NODE_REPORT_PROMISES_H
#define NODE_REPORT_PROMISES_H

#include "base/buffer.h"

struct node;

void report_promise_metrics(struct buffer *out, const struct node *n);

#endif
