/*
 * faults -- disk faults on demand, by the lines of the file $POWER_FAULTS:
 *
 *     full BYTES PATTERN                     after so many more bytes of writes, ENOSPC
 *     space BYTES PATTERN                    the same, but only what makes a file longer counts
 *     fail OPERATION NTH on ERROR PATTERN    the NTH one from now, and all after it
 *     fail OPERATION NTH once ERROR PATTERN  only the NTH one
 *     delay OPERATION MS PATTERN             it takes that long (not for write)
 *
 * OPERATION is write, read, sync, create or rename; ERROR is EIO, ENOSPC, EDQUOT, EROFS or EACCES;
 * PATTERN matches the path below $POWER_DIR as the shell does, where * matches slashes too (that of
 * a directory's sync is the directory's; $POWER_DIR itself is the empty path, which only * matches).
 * The file is read again when it was replaced, and everything is counted from then on; no file is no
 * fault. At most 16 lines.
 * Threads: the caller holds the shim's lock.
 */
#ifndef SHIM_FAULTS_H
#define SHIM_FAULTS_H

#include <stddef.h>
#include <stdint.h>

enum faults_operation { FAULTS_WRITE, FAULTS_READ, FAULTS_SYNC, FAULTS_CREATE, FAULTS_RENAME };

/* Notes the name of the file; NULL: there are no faults. */
void faults_open(const char *control);

/* 0, or the error that the operation fails with. For a write of *bytes, `growth` of which make the
 * file longer: when only a part fits, *bytes is made less. *delay_ms is how long it takes. */
int faults_judge(enum faults_operation operation, const char *path, size_t *bytes, uint64_t growth,
                 unsigned *delay_ms);

#endif
