#include "host/logger.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/logfmt.h"
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
    size_t len;

    clocks_text(clocks_wall_us(), time);
    len = (size_t)snprintf(line, LOGGER_LINE_MAX, "ts=%s level=%s ", time, LEVEL_NAMES[level]);
    va_start(arguments, format);
    len += logfmt_print(line + len, LOGGER_LINE_MAX - len, format, arguments);
    va_end(arguments);
    line[len++] = '\n';
    write_all(line, len);
}
