/*
 * frame -- the body of a BATCHES message: batches back to back, compressed once for all who get
 * them.
 *
 *     u8 codec (0 raw, 1 zstd)    u32 length of the content    bytes
 *     content: n x (varint length, a batch as in wire/batch.h); of an IMAGE something else
 *
 * Each frame is compressed on its own (level 1): a receiver needs no other. A content below
 * FRAME_COMPRESS_MIN bytes, or one that does not shrink, stays raw. A zstd frame must state its
 * content's size, the same as here: hostile bytes cannot make us allocate more than MESSAGE_MAX.
 * Memory:  a codec keeps its contexts and one buffer for reuse; a large one is given back at once.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "wire/message.h"

enum {
    FRAME_HEADER_BYTES = 5,
    BATCH_LENGTH_MAX = 10,    /* of the varint before a batch */
    FRAME_COMPRESS_MIN = 512, /* below, zstd saves little and costs its tables */
    FRAME_CONTENT_MAX = MESSAGE_MAX - 1 - FRAME_HEADER_BYTES,
    FRAME_KEEP_BYTES = 1 << 20, /* scratch above this is freed after use */
};

/* Zeroed is valid: contexts are made when first needed. */
struct frame_codec {
    struct ZSTD_CCtx_s *compressor;
    struct ZSTD_DCtx_s *decompressor;
    struct buffer content; /* what was decompressed last */
};

void frame_codec_release(struct frame_codec *codec);

/* Appends one whole BATCHES message, or one of another type whose body is a frame. `content` has at
 * most FRAME_CONTENT_MAX bytes. */
void frame_put(struct frame_codec *codec, struct buffer *out, struct span content);
void frame_put_as(struct frame_codec *codec, struct buffer *out, enum message_type type,
                  struct span content);

/* The content of a body; borrows from it, or from the codec until the next call. */
bool frame_take(struct frame_codec *codec, struct span body, struct span *content);

/* Content, one batch at a time. At the end or when malformed false; the end was clean when
 * content->len is 0. */
void frame_add_batch(struct buffer *content, struct span batch);
bool frame_next_batch(struct span *content, struct span *batch);

#endif
