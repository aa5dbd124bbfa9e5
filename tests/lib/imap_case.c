#include "tests/lib/imap_case.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/loop.h"
#include "core/imap/session.h"
#include "core/imap/transport.h"
#include "tests/lib/imap_deeds.h"
#include "tests/lib/imap_play.h"
#include "tests/lib/imap_tour.h"
#include "tests/lib/support.h"
#include "tests/lib/tls_peer.h"

/* Steps without a byte moved after which nothing more will come, and after the end: a hang. */
#define IDLE_STEPS 16
#define HANG_STEPS 4096

/* --- the file --- */

static char *text_of(struct buf *b)
{
	char *text = bytes_dup(buf_bytes(b));

	buf_release(b);
	return text;
}

static void add_line(struct buf *b, const char *line)
{
	buf_add_str(b, line);
	buf_add_byte(b, '\n');
}

void case_read(struct imap_case *c, const char *path)
{
	struct buf script = BUF_INIT(1 << 24), account = BUF_INIT(1 << 20);
	struct buf wanted = BUF_INIT(1 << 24);
	FILE *f = fopen(path, "re");
	size_t deed_cap = 0, cap = 0;
	char *line = NULL;

	if (!f)
		test_die("cannot read %s", path);
	*c = (struct imap_case){ .path = xstrdup(path) };
	while (getline(&line, &cap, f) >= 0) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] == '#' || !line[0])
			continue;
		if (strncmp(line, "account: ", 9) == 0) {
			add_line(&account, line + 9);
		} else if (strncmp(line, "do: ", 4) == 0) {
			c->deeds = xgrow(c->deeds, c->deed_count, &deed_cap, sizeof(*c->deeds));
			c->deeds[c->deed_count++] = xstrdup(line + 4);
		} else if (strncmp(line, "want: ", 6) == 0) {
			add_line(&wanted, line + 6);
		} else {
			c->sent += line[0] == 'S';
			add_line(&script, line);
		}
	}
	free(line);
	fclose(f);
	c->script = text_of(&script);
	c->account = text_of(&account);
	c->wanted = text_of(&wanted);
}

void case_release(struct imap_case *c)
{
	for (unsigned i = 0; i < c->deed_count; i++)
		free(c->deeds[i]);
	free(c->deeds);
	free(c->script);
	free(c->account);
	free(c->wanted);
	free(c->path);
}

/* --- the game --- */

struct game {
	struct imap_account account;
	char *words; /* of the account line */
	const char *cert_names;
	const char *remembered; /* mechanism of an earlier login */
	bool public_line;
	bool trace;
	struct imap_play *play;
	struct loop *loop;
	struct deeds deeds;
	struct buf *log;
	/* In place of time. */
	struct loop_member clock;
	uint64_t moved;
	unsigned idle;
	bool ended;
};

static int recall(void *ctx, struct imap_login_memory *out, struct err *err)
{
	struct game *g = ctx;

	(void)err;
	*out = (struct imap_login_memory){ .mechanism = g->remembered, .remedy = "forget it" };
	return 0;
}

static void set_word(struct game *g, char *word)
{
	static const struct {
		const char *word;
		size_t at;
		int value;
	} words[] = {
#define A(member) offsetof(struct imap_account, member)
		{ "tls=starttls", A(tls), IMAP_TLS_STARTTLS },
		{ "auth=plain", A(auth), IMAP_AUTH_PLAIN },
		{ "auth=login", A(auth), IMAP_AUTH_LOGIN },
		{ "auth=scram-sha-256", A(auth), IMAP_AUTH_SCRAM_SHA_256 },
		{ "auth=scram-sha-256-plus", A(auth), IMAP_AUTH_SCRAM_SHA_256_PLUS },
		{ "compress=yes", A(compress), IMAP_COMPRESS_YES },
#undef A
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i].word) == 0) {
			memcpy((char *)&g->account + words[i].at, &words[i].value, sizeof(int));
			return;
		}
	if (strncmp(word, "cert=", 5) == 0)
		g->cert_names = word + 5;
	else if (strncmp(word, "remembered=", 11) == 0)
		g->remembered = word + 11;
	else if (strcmp(word, "public") == 0)
		g->public_line = true;
	else if (strcmp(word, "trace") == 0)
		g->trace = true;
	else
		test_die("case: not a word for the account: %s", word);
}

/* --- time --- */

static bool clock_prepare(struct loop_member *m, struct pollfd *out, int64_t *deadline)
{
	(void)m;
	(void)out;
	(void)deadline;
	return true;
}

static void clock_service(struct loop_member *m, int64_t now)
{
	struct game *g = (struct game *)((char *)m - offsetof(struct game, clock));
	struct imap_traffic t = imap_session_traffic(g->deeds.session);

	(void)now;
	if (imap_session_state(g->deeds.session) == IMAP_STATE_CLOSED)
		return;
	g->idle = t.read + t.written == g->moved ? g->idle + 1 : 0;
	g->moved = t.read + t.written;
	if (g->idle >= IDLE_STEPS && !g->ended) {
		g->ended = true;
		transport_memory_end(play_transport(g->play));
	} else if (g->idle > HANG_STEPS) {
		test_die("case: the session hangs");
	}
}

static const struct loop_member_ops clock_ops = { clock_prepare, clock_service };

/* --- what is seen --- */

static void on_log(void *ctx, enum log_level level, const char *text)
{
	struct game *g = ctx;

	(void)level;
	buf_addf(g->log, "warning: %s\n", text);
}

static void on_trace(void *ctx, char direction, const char *line)
{
	buf_addf(((struct game *)ctx)->log, "trace %c: %s\n", direction, line);
}

static void start(struct game *g, const struct imap_case *c, const char *dir,
		  case_mangle_fn *mangle, void *ctx)
{
	struct buf script = BUF_INIT(1 << 24);
	struct tls_peer_cert cert = { .names = NULL };
	struct imap_trace trace = { .level = g->trace ? IMAP_TRACE_ALL : IMAP_TRACE_OFF,
				    .fn = on_trace, .ctx = g };

	buf_addf(&script, "PAUSE\n%s", c->script);
	cert.names = g->cert_names;
	g->play = cert.names ? play_new_tls(buf_str(&script), &cert, dir) :
			       play_new(buf_str(&script));
	if (cert.names)
		g->account.tls_ca_file = tls_peer_cert_file(play_tls_peer(g->play));
	buf_release(&script);
	if (g->public_line)
		transport_memory_claim(play_transport(g->play), false, false);
	if (mangle)
		play_hostile(g->play, mangle, ctx);
	g->loop = loop_new(NULL, NULL);
	g->deeds.session = imap_session_new_on(g->loop, &g->account, &trace,
					       play_transport(g->play));
	g->clock.ops = &clock_ops;
	loop_add(g->loop, &g->clock);
	play_resume(g->play);
}

static void stop(struct game *g)
{
	const struct err *why = imap_session_error(g->deeds.session);

	if (why && why->kind)
		buf_addf(g->log, "session: %s\n", why->text);
	imap_session_free(g->deeds.session);
	if (g->deeds.submitted != g->deeds.ended)
		test_die("case: %u commands submitted, %u ended", g->deeds.submitted,
			 g->deeds.ended);
	loop_remove(g->loop, &g->clock);
	loop_free(g->loop);
	play_finish(g->play);
	free(g->words);
}

void case_play(const struct imap_case *c, const char *dir, case_mangle_fn *mangle, void *ctx,
	       struct buf *log)
{
	struct game g = {
		.account = { .name = "test", .host = "mail.example", .tls = IMAP_TLS_NONE,
			     .user = "alice", .password = imap_tour_password,
			     .compress = IMAP_COMPRESS_NO, .recall = recall },
		.words = xstrdup(c->account),
		.log = log,
		.deeds = { .log = log },
	};
	char *save = NULL;
	struct err err;

	g.account.memory_ctx = &g;
	for (char *w = strtok_r(g.words, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		set_word(&g, w);
	log_set(LOG_WARN, on_log, &g);
	start(&g, c, dir, mangle, ctx);
	if (imap_session_open(g.deeds.session, &err) == 0)
		for (unsigned i = 0; i < c->deed_count &&
		     imap_session_is_ready(g.deeds.session); i++)
			deeds_do(&g.deeds, c->deeds[i]);
	stop(&g);
	log_set(LOG_WARN, NULL, NULL);
}
