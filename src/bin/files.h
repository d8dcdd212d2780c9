/*
 * files -- whole files and directories, made durable, for back-ups and repairs.
 *
 * Errors are one line for people in problem[FILES_PROBLEM_MAX], with the file and the cause.
 */
#ifndef BIN_FILES_H
#define BIN_FILES_H

#include <stdbool.h>
#include <stdint.h>

enum { FILES_PATH_MAX = 4096, FILES_PROBLEM_MAX = 4600 };

/* "above/name"; false when it is too long, and then it says so. */
bool files_join(char path[FILES_PATH_MAX], const char *above, const char *name, char *problem);

bool files_is_directory(const char *path);
/* Whether a region has used the directory: it has left its identity there. */
bool files_is_region(const char *directory);
bool files_exists(const char *path);
bool files_is_empty(const char *path); /* a directory without entries */

/* 0700; fine when it is there. Its name is durable. */
bool files_make_directory(const char *path, char *problem);
bool files_sync_directory(const char *path, char *problem);
bool files_sync_parent(const char *path, char *problem);

/* Removes a directory and the files in it; directories in it stay, and are an error. Fine when it
 * is not there. */
bool files_remove_directory(const char *path, char *problem);
bool files_remove(const char *path, char *problem); /* a file; fine when it is not there */
bool files_rename(const char *from, const char *to, char *problem); /* not synced */

/* The file's size, and the CRC32C of all of it. */
bool files_sum(const char *path, uint64_t *bytes, uint32_t *crc, char *problem);

/* A new file with the same contents, synced. */
bool files_copy(const char *from, const char *to, uint64_t *bytes, uint32_t *crc, char *problem);

#endif
