#include "host/logger.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "host/clocks.h"

static const char *const LEVEL_NAMES[] = {
    [LOGGER_INFO] = "info",
    [LOGGER_WARNING] = "warning",
    [LOGGER_ERROR] = "error",
};

static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(STDERR_FILENO, bytes, len);

        if (wrote <= 0)
            return; /* nobody is left who could be told */
        bytes += wrote;
        len -= (size_t)wrote;
    }
}

void logger_line(enum logger_level level, const char *format, ...)
{
    char line[LOGGER_LINE_MAX + 1];
    char time[CLOCKS_TEXT_MAX];
    va_list arguments;
    int head, body;
    size_t len;

    clocks_text(clocks_wall_us(), time);
    head = snprintf(line, LOGGER_LINE_MAX, "ts=%s level=%s ", time, LEVEL_NAMES[level]);
    va_start(arguments, format);
    body = vsnprintf(line + head, LOGGER_LINE_MAX - (size_t)head, format, arguments);
    va_end(arguments);
    if (body < 0)
        return;
    len = (size_t)head + (size_t)body;
    if (len > LOGGER_LINE_MAX - 1)
        len = LOGGER_LINE_MAX - 1;
    for (size_t i = 0; i < len; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    line[len++] = '\n';
    write_all(line, len);
}
