#include "host/outflow.h"

#include "base/check.h"
#include "base/memory.h"

static uv_buf_t buf_of(struct span s)
{
    return uv_buf_init((char *)(uintptr_t)s.at, (unsigned)s.len);
}

static void on_written(uv_write_t *request, int status)
{
    struct outflow *o = container_of(request, struct outflow, request);

    o->busy = false;
    mem_free(o->chunk);
    o->chunk = NULL;
    if (status != UV_ECANCELED) /* closing: the owner knows */
        o->ready(request->handle, status);
}

/* Leaves some of `rest` to libuv. */
static ssize_t write_later(struct outflow *o, uv_stream_t *stream, struct span rest)
{
    size_t len = rest.len < OUTFLOW_CHUNK ? rest.len : OUTFLOW_CHUNK;
    uv_buf_t buf;
    int error;

    o->chunk = mem_alloc(len);
    memcpy(o->chunk, rest.at, len);
    buf = buf_of(span_of(o->chunk, len));
    error = uv_write(&o->request, stream, &buf, 1, on_written);
    if (error != 0) {
        mem_free(o->chunk);
        o->chunk = NULL;
        return error;
    }
    o->busy = true;
    return (ssize_t)len;
}

ssize_t outflow_write(struct outflow *o, uv_stream_t *stream, struct span bytes)
{
    uv_buf_t buf;
    ssize_t taken, later;

    if (o->busy || bytes.len == 0)
        return 0;
    if (bytes.len > 1u << 30)
        bytes.len = 1u << 30; /* what one uv_buf_t may hold, with room to spare */
    buf = buf_of(bytes);
    taken = uv_try_write(stream, &buf, 1);
    if (taken == UV_EAGAIN)
        taken = 0;
    if (taken < 0 || (size_t)taken == bytes.len)
        return taken;
    later = write_later(o, stream, span_skip(bytes, (size_t)taken));
    return later < 0 ? later : taken + later;
}

void outflow_release(struct outflow *o)
{
    mem_free(o->chunk);
    o->chunk = NULL;
}
