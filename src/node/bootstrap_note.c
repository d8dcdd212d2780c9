/*
 * bootstrap_note -- how far a bootstrap is, kept beside the objects that it is about.
 *
 *     'b'    u8 format (1)   u8 phase   u64 instance of the marker   u8 source
 *            varint keys in all, keys, bytes
 *            IMAGE:   start, cursor (varint length, bytes)      CATCHUP: vectors began, target
 */
#include "base/error.h"
#include "node/bootstrap.h"

enum { NOTE = BOOTSTRAP_NOTE, FORMAT = 1 };

void bootstrap_note_put(struct buffer *notes, const struct bootstrap_note *note)
{
    struct buffer b = { 0 };
    buffer_put_u8(&b, FORMAT);
    buffer_put_u8(&b, (uint8_t)note->phase);
    buffer_put_u64(&b, note->instance);
    buffer_put_u8(&b, note->source);
    buffer_put_varint(&b, note->keys_total);
    buffer_put_varint(&b, note->keys);
    buffer_put_varint(&b, note->bytes);
    if (note->phase == BOOTSTRAP_IMAGE) {
        buffer_put_prefixed(&b, buffer_span(&note->start));
        buffer_put_prefixed(&b, buffer_span(&note->cursor));
    } else {
        vector_put(&b, &note->began);
        vector_put(&b, &note->target);
    }
    buffer_put_u8(notes, NOTE);
    buffer_put_prefixed(notes, buffer_span(&b));
    buffer_release(&b);
}

static bool take_image(struct span *in, struct bootstrap_note *note)
{
    struct span start, cursor;
    if (!span_take_prefixed(in, &start) || !span_take_prefixed(in, &cursor))
        return false;
    buffer_put(&note->start, start);
    buffer_put(&note->cursor, cursor);
    return true;
}

static bool take(struct span in, struct bootstrap_note *note)
{
    uint8_t format, phase;
    if (!span_take_u8(&in, &format) || format != FORMAT || !span_take_u8(&in, &phase) ||
        (phase != BOOTSTRAP_IMAGE && phase != BOOTSTRAP_CATCHUP) ||
        !span_take_u64(&in, &note->instance) || !span_take_u8(&in, &note->source) ||
        !span_take_varint(&in, &note->keys_total) || !span_take_varint(&in, &note->keys) ||
        !span_take_varint(&in, &note->bytes))
        return false;
    note->phase = (enum bootstrap_phase)phase;
    bool good = phase == BOOTSTRAP_IMAGE
                    ? take_image(&in, note)
                    : vector_take(&in, &note->began) && vector_take(&in, &note->target);
    return good && in.len == 0;
}

int bootstrap_note_load(struct checkpoint *store, struct bootstrap_note *note)
{
    struct buffer bytes = { 0 };
    *note = (struct bootstrap_note){ 0 };
    int error = checkpoint_note(store, NOTE, &bytes);
    if (error == E_OK && !take(buffer_span(&bytes), note)) {
        bootstrap_note_release(note);
        error = E_FORMAT;
    }
    buffer_release(&bytes);
    return error;
}

void bootstrap_note_release(struct bootstrap_note *note)
{
    buffer_release(&note->start);
    buffer_release(&note->cursor);
    *note = (struct bootstrap_note){ 0 };
}

enum bootstrap_phase bootstrap_phase_of(struct checkpoint *store,
                                        const struct checkpoint_found *found,
                                        const struct marker *marker)
{
    struct bootstrap_note note;
    enum bootstrap_phase phase = BOOTSTRAP_NONE;
    int error = bootstrap_note_load(store, &note);
    if (error == E_MISSING && found->empty && !found->start_known)
        phase = BOOTSTRAP_IMAGE;
    else if (error == E_OK && note.instance == marker->instance &&
             (note.phase == BOOTSTRAP_CATCHUP) == found->start_known)
        phase = note.phase;
    bootstrap_note_release(&note);
    checkpoint_refresh(store);
    return phase;
}
