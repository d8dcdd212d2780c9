/*
 * save -- checkpoints on request: how a SAVE or a CHECKPOINT SCRUB that waits ends.
 */
#ifndef CMD_SAVE_H
#define CMD_SAVE_H

struct session;

/* Ends a SAVE (session->wait_checkpoint): OK, or why it failed. */
void command_save_end(struct session *session, const char *problem);
/* Likewise a CHECKPOINT SCRUB (session->wait_scrub). */
void command_scrub_end(struct session *session, const char *problem);

#endif
