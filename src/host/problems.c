#include "host/problems.h"

#include <stdio.h>

#include "base/memory.h"

void problems_add(struct problems *p, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char text[1024]; /* longer messages quote something endless, and are cut */
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *c = text; *c != '\0'; c++) {
        if ((uint8_t)*c < ' ' || *c == 0x7f)
            *c = '?'; /* quoted from the file: a text of several lines, or a terminal's escapes */
    }

    p->at = mem_realloc(p->at, (p->count + 1) * sizeof(*p->at));
    size_t bytes = strlen(text) + 1;
    p->at[p->count++] = (struct problem){ line, memcpy(mem_alloc(bytes), text, bytes) };
}

/* By insertion: stable, and mostly sorted already. */
static void sort(struct problems *p)
{
    for (size_t i = 1; i < p->count; i++) {
        struct problem moving = p->at[i];
        size_t at = i;
        for (; at > 0 && p->at[at - 1].line > moving.line; at--)
            p->at[at] = p->at[at - 1];
        p->at[at] = moving;
    }
}

void problems_print(struct problems *p, const char *file, struct buffer *out)
{
    sort(p);
    for (size_t i = 0; i < p->count; i++) {
        if (p->at[i].line > 0)
            buffer_printf(out, "%s:%d: %s\n", file, p->at[i].line, p->at[i].text);
        else
            buffer_printf(out, "%s: %s\n", file, p->at[i].text);
    }
}

void problems_release(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++)
        mem_free(p->at[i].text);
    mem_free(p->at);
    *p = (struct problems){ 0 };
}
