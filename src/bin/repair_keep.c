#include "bin/repair_keep.h"

#include <stdio.h>

#include "base/error.h"
#include "host/kv_lmdb.h"
#include "node/bootstrap.h"

static void make_notes(const struct marker *marker, struct buffer *notes)
{
    struct bootstrap_note note = { .phase = BOOTSTRAP_CATCHUP, .instance = marker->instance };
    vector_copy(&note.began, &marker->had);
    vector_copy(&note.target, &marker->had);
    bootstrap_note_put(notes, &note);
}

static bool write_notes(struct kv *kv, struct span notes, const char *directory, char *problem)
{
    struct checkpoint_writer writer;
    checkpoint_writer_init(&writer, kv);
    int error = checkpoint_write(&writer, &(struct checkpoint_write){ .notes = notes });
    if (error != E_OK)
        snprintf(problem, FILES_PROBLEM_MAX, "%s: %s", directory, writer.problem);
    checkpoint_writer_release(&writer);
    return error == E_OK;
}

bool repair_keep(const char *data, const struct marker *marker, char *problem)
{
    char directory[FILES_PATH_MAX], cause[KV_LMDB_PROBLEM_MAX];
    struct kv_lmdb kv;
    struct buffer notes = { 0 };
    if (!files_join(directory, data, "checkpoint", problem))
        return false;
    if (kv_lmdb_open(&kv, directory, false, cause) != E_OK) {
        snprintf(problem, FILES_PROBLEM_MAX, "%s: %s", directory, cause);
        return false;
    }
    make_notes(marker, &notes);
    bool good = write_notes(&kv.kv, buffer_span(&notes), directory, problem);
    buffer_release(&notes);
    kv_lmdb_close(&kv);
    return good;
}
