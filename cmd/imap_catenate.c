/* `catenate`: the server makes a message of pieces, some of which it has already. */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/imap/url.h"

#include "cmd/imap_source.h"

/* `text FILE` or `part MAILBOX UID ITEM`, as words. */
struct piece {
	struct source source; /* file NULL: it is a part */
	struct buf wire;
	char *section;
	struct imap_url url;
};

struct pieces {
	struct piece *list;
	struct imap_append_part *parts; /* the same for the command */
	size_t n;
};

static void pieces_release(struct pieces *p)
{
	for (size_t i = 0; i < p->n; i++) {
		source_close(&p->list[i].source);
		buf_release(&p->list[i].wire);
		free(p->list[i].section);
	}
	free(p->list);
	free(p->parts);
}

/* How many words the piece at args[0] takes; 0 (*err set): it is none. */
static size_t piece_words(char **args, size_t n, struct err *err)
{
	size_t words = strcmp(args[0], "text") == 0 ? 2 : strcmp(args[0], "part") == 0 ? 4 : 0;

	if (!words)
		err_set(err, ERR_CONFIG, "catenate: a piece is text FILE or part MAILBOX UID ITEM, "
					 "not '%s'", args[0]);
	else if (n < words)
		err_set(err, ERR_CONFIG, "catenate: too little after '%s'", args[0]);
	return words && n >= words ? words : 0;
}

static int check_part(char **args, struct err *err)
{
	char *section = imap_section_of(args[3]);
	uint32_t uid;

	free(section);
	if (!bytes_to_u32(bytes_of(args[2]), &uid) || !uid)
		return err_set(err, ERR_CONFIG, "catenate: '%s' is no UID", args[2]);
	if (!section)
		return err_set(err, ERR_CONFIG, "catenate: '%s' is no part of a message; it is body, "
						"header, text or body[SECTION]", args[3]);
	return 0;
}

static int catenate_check(const struct imap_call *call, struct err *err)
{
	for (size_t i = 0, words; i < call->n_args; i += words) {
		words = piece_words(call->args + i, call->n_args - i, err);
		if (!words || (words == 4 && check_part(call->args + i, err) < 0))
			return -1;
	}
	return new_message_check(call, err);
}

/* --- what the server has --- */

struct validity {
	struct imap_answer answer; /* first */
	uint32_t value;
};

static void on_validity(void *ctx, const struct imap_mailbox_status *status,
			const struct imap_result *result)
{
	struct validity *v = ctx;

	imap_answer_take(&v->answer, result);
	if (status && (status->present & IMAP_ITEM_UIDVALIDITY))
		v->value = status->uid_validity;
}

/* So that the UID is that of the message which the mailbox has under it now. */
static int ask_validity(struct imap_cli *cli, struct piece *piece, struct err *err)
{
	const struct imap_mailbox *open = imap_session_mailbox(cli->session);
	struct validity v = { .value = 0 };

	if (open && strcmp(open->name, buf_str(&piece->wire)) == 0) {
		piece->url.uid_validity = open->uid_validity;
		return 0;
	}
	if (imap_status(cli->session, buf_bytes(&piece->wire), IMAP_ITEM_UIDVALIDITY, on_validity,
			&v, err) < 0 || imap_answer_wait(cli, &v.answer, err) < 0)
		return -1;
	piece->url.uid_validity = v.value;
	return 0;
}

static int make_part(struct imap_cli *cli, struct piece *piece, struct imap_append_part *part,
		     char **args, struct err *err)
{
	buf_init(&piece->wire, 1 << 16);
	piece->section = imap_section_of(args[3]);
	bytes_to_u32(bytes_of(args[2]), &piece->url.uid);
	if (imap_cli_wire_name(cli, args[1], &piece->wire, err) < 0 ||
	    ask_validity(cli, piece, err) < 0)
		return -1;
	piece->url.mailbox = buf_bytes(&piece->wire);
	piece->url.section = piece->section;
	part->url = &piece->url;
	return 0;
}

static int make_text(struct piece *piece, struct imap_append_part *part, const char *path,
		     struct err *err)
{
	if (source_open(&piece->source, "catenate", path, err) < 0)
		return -1;
	*part = (struct imap_append_part){
		.size = piece->source.size,
		.binary = piece->source.binary,
		.read = source_read,
		.ctx = &piece->source,
	};
	return 0;
}

static int make_pieces(struct imap_cli *cli, const struct imap_call *call, struct pieces *p,
		       struct err *err)
{
	/* Addresses of the elements are kept: as many as there can be, at once. */
	p->list = xcalloc(call->n_args, sizeof(*p->list));
	p->parts = xcalloc(call->n_args, sizeof(*p->parts));
	for (size_t i = 0, words; i < call->n_args; i += words) {
		char **args = call->args + i;
		struct piece *piece = &p->list[p->n];
		struct imap_append_part *part = &p->parts[p->n++];

		words = piece_words(args, call->n_args - i, err);
		if (words == 2 ? make_text(piece, part, args[1], err) < 0 :
				 make_part(cli, piece, part, args, err) < 0)
			return -1;
	}
	return 0;
}

/* --- running --- */

static int catenate_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct added added = { .cli = cli, .command = call->sub->name };
	struct buf wire = BUF_INIT(1 << 16);
	struct pieces pieces = { .n = 0 };
	struct imap_append_message message;
	struct new_message new;
	int ret = -1;

	if (new_message_init(&new, call, err) < 0 || make_pieces(cli, call, &pieces, err) < 0 ||
	    imap_cli_wire_name(cli, call->mailbox, &wire, err) < 0)
		goto out;
	message = (struct imap_append_message){
		.flags = &new.flags,
		.date = &new.date,
		.parts = pieces.parts,
		.n_parts = pieces.n,
		.utf8 = call->given & SUB_OPT_UTF8,
	};
	if (imap_append(cli->session, &(struct imap_append_request){
		.mailbox = buf_bytes(&wire), .messages = &message, .n = 1 }, imap_added, &added,
		err) == 0)
		ret = imap_answer_wait(cli, &added.answer, err);
out:
	pieces_release(&pieces);
	new_message_release(&new);
	buf_release(&wire);
	return ret;
}

const struct imap_sub sub_catenate = {
	.name = "catenate",
	.args = "MAILBOX PIECE...",
	.summary = "Add a message that the server makes of pieces: text FILE is sent, part MAILBOX UID "
		   "ITEM is there already; ITEM is body, header, text or body[SECTION].",
	.example = "catenate Archive part INBOX 7 header text new-text.txt",
	.needs = SUB_MAILBOX,
	.options = SUB_OPT_FLAGS | SUB_OPT_DATE | SUB_OPT_UTF8,
	.min_args = 2,
	.max_args = SUB_MANY,
	.check = catenate_check,
	.run = catenate_run,
};
