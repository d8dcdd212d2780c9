#include "wire/frame.h"

#include <zstd.h>

#include "base/check.h"

enum { CODEC_RAW, CODEC_ZSTD, LEVEL = 1 };

void frame_codec_release(struct frame_codec *codec)
{
    ZSTD_freeCCtx(codec->compressor);
    ZSTD_freeDCtx(codec->decompressor);
    buffer_release(&codec->content);
    *codec = (struct frame_codec){ 0 };
}

static void put_header(struct buffer *out, uint8_t codec, size_t content_bytes)
{
    buffer_put_u8(out, codec);
    buffer_put_u32(out, (uint32_t)content_bytes);
}

/* Compresses to the end of `out`; false, with nothing appended, when that would not make it
 * smaller. */
static bool put_compressed(struct frame_codec *codec, struct buffer *out, struct span content)
{
    size_t start = out->len;
    if (codec->compressor == NULL)
        codec->compressor = ZSTD_createCCtx();
    CHECK(codec->compressor != NULL);
    put_header(out, CODEC_ZSTD, content.len);
    uint8_t *to = buffer_room(out, content.len);
    size_t bytes = ZSTD_compressCCtx(codec->compressor, to, content.len - 1, content.at,
                                     content.len, LEVEL);
    if (ZSTD_isError(bytes)) { /* no room: it did not shrink */
        out->len = start;
        return false;
    }
    out->len += bytes;
    return true;
}

void frame_put(struct frame_codec *codec, struct buffer *out, struct span content)
{
    frame_put_as(codec, out, MESSAGE_BATCHES, content);
}

void frame_put_as(struct frame_codec *codec, struct buffer *out, enum message_type type,
                  struct span content)
{
    CHECK(content.len <= FRAME_CONTENT_MAX);
    size_t place = message_begin(out, type);
    if (content.len < FRAME_COMPRESS_MIN || !put_compressed(codec, out, content)) {
        put_header(out, CODEC_RAW, content.len);
        buffer_put(out, content);
    }
    message_end(out, place);
}

static bool decompress(struct frame_codec *codec, struct span body, size_t content_bytes,
                       struct span *content)
{
    if (ZSTD_getFrameContentSize(body.at, body.len) != content_bytes)
        return false;
    if (codec->decompressor == NULL)
        codec->decompressor = ZSTD_createDCtx();
    CHECK(codec->decompressor != NULL);
    buffer_clear(&codec->content);
    uint8_t *to = buffer_room(&codec->content, content_bytes);
    size_t bytes = ZSTD_decompressDCtx(codec->decompressor, to, content_bytes, body.at, body.len);
    if (ZSTD_isError(bytes) || bytes != content_bytes)
        return false;
    codec->content.len = bytes;
    *content = buffer_span(&codec->content);
    return true;
}

bool frame_take(struct frame_codec *codec, struct span body, struct span *content)
{
    uint8_t kind;
    uint32_t content_bytes;
    if (!span_take_u8(&body, &kind) || !span_take_u32(&body, &content_bytes))
        return false;
    if (content_bytes > FRAME_CONTENT_MAX)
        return false;
    if (codec->content.cap > FRAME_KEEP_BYTES && content_bytes < FRAME_KEEP_BYTES)
        buffer_release(&codec->content);
    if (kind == CODEC_ZSTD)
        return content_bytes > 0 && decompress(codec, body, content_bytes, content);
    *content = body;
    return kind == CODEC_RAW && body.len == content_bytes;
}

void frame_add_batch(struct buffer *content, struct span batch)
{
    buffer_put_prefixed(content, batch);
}

bool frame_next_batch(struct span *content, struct span *batch)
{
    return content->len > 0 && span_take_prefixed(content, batch);
}
