#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/imap/transport.h"
#include "tests/lib/imap_play.h"

/* --- the transport --- */

struct rig {
	struct transport *memory, *deflate;
	struct buf wire; /* what was written below */
	struct err err;
};

static void keep(void *ctx, struct transport *t, struct bytes written)
{
	(void)t;
	buf_add(&((struct rig *)ctx)->wire, written);
}

static void rig_open(struct rig *r, struct bytes received)
{
	*r = (struct rig){ 0 };
	buf_init(&r->wire, (size_t)1 << 28);
	r->memory = transport_memory_new(keep, r);
	r->deflate = transport_deflate_new(r->memory, received);
}

static void rig_close(struct rig *r)
{
	transport_free(r->deflate);
	buf_release(&r->wire);
}

static void zip(struct bytes plain, int flush, struct buf *out)
{
	z_stream z = { 0 };
	struct buf in = BUF_INIT((size_t)1 << 24);
	uint8_t piece[4096];

	buf_add(&in, plain);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = in.p;
	z.avail_in = (uInt)in.n;
	do {
		z.next_out = piece;
		z.avail_out = sizeof(piece);
		deflate(&z, flush);
		buf_add(out, bytes_from(piece, sizeof(piece) - z.avail_out));
	} while (!z.avail_out);
	deflateEnd(&z);
	buf_release(&in);
}

static void unzip(struct bytes packed, struct buf *out)
{
	struct rig r;
	uint8_t piece[4096];
	size_t n = 0;

	rig_open(&r, packed);
	while (transport_read(r.deflate, piece, sizeof(piece), &n, &r.err) == TRANSPORT_OK)
		buf_add(out, bytes_from(piece, n));
	rig_close(&r);
}

/* Text that compresses a little, as mail does. */
static void sample(struct buf *out, size_t n)
{
	uint32_t x = 1;

	while (out->n < n) {
		x = x * 1664525 + 1013904223;
		buf_addf(out, "Received: from %08x by mail.example\r\n", x >> 8);
	}
}

static void test_what_is_written_comes_out_however_small_the_pieces_are(void **state)
{
	static const size_t limits[] = { 1, 2, 3, 7, 100, 4096, SIZE_MAX };
	struct buf plain = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);

	(void)state;
	sample(&plain, 100000);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct bytes rest = buf_bytes(&plain);
		struct rig r;
		size_t n = 0;

		rig_open(&r, bytes_from(NULL, 0));
		transport_memory_limit(r.memory, SIZE_MAX, limits[i]);
		while (rest.n) {
			assert_int_equal(transport_write(r.deflate, rest, &n, &r.err), TRANSPORT_OK);
			rest = bytes_from(rest.p + n, rest.n - n);
		}
		assert_in_range(r.wire.n, 1, plain.n / 2);
		buf_clear(&got);
		unzip(buf_bytes(&r.wire), &got);
		assert_int_equal(got.n, plain.n);
		assert_memory_equal(got.p, plain.p, plain.n);
		rig_close(&r);
	}
	buf_release(&plain);
	buf_release(&got);
}

static void test_what_is_read_comes_out_however_it_is_cut(void **state)
{
	static const size_t limits[] = { 1, 2, 3, 7, 100, 4096, SIZE_MAX };
	struct buf plain = BUF_INIT(1 << 20), packed = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);

	(void)state;
	sample(&plain, 50000);
	zip(buf_bytes(&plain), Z_SYNC_FLUSH, &packed);
	for (size_t i = 0; i < 49; i++) {
		size_t head = i % 3 * 1000, max = limits[i / 7] < 4096 ? limits[i / 7] : 4096, n = 0;
		uint8_t piece[4096];
		struct pollfd p;
		struct rig r;

		/* the first bytes came together with the OK */
		rig_open(&r, bytes_from(packed.p, head));
		transport_memory_limit(r.memory, limits[i % 7], SIZE_MAX);
		transport_memory_feed(r.memory, bytes_from(packed.p + head, packed.n - head));
		buf_clear(&got);
		/* poll must say that there is more for as long as there is */
		while (transport_poll(r.deflate, TRANSPORT_READ, &p)) {
			enum transport_io io = transport_read(r.deflate, piece, max, &n, &r.err);

			assert_true(io == TRANSPORT_OK || io == TRANSPORT_AGAIN);
			if (io == TRANSPORT_OK)
				buf_add(&got, bytes_from(piece, n));
		}
		assert_int_equal(got.n, plain.n);
		assert_memory_equal(got.p, plain.p, plain.n);
		rig_close(&r);
	}
	buf_release(&plain);
	buf_release(&packed);
	buf_release(&got);
}

static void test_a_flight_is_flushed_once_and_at_once(void **state)
{
	static const uint8_t mark[] = { 0, 0, 0xff, 0xff };
	struct rig r;
	size_t n = 0, marks = 0;

	(void)state;
	rig_open(&r, bytes_from(NULL, 0));
	assert_int_equal(transport_write(r.deflate, bytes_of("a NOOP\r\nb NOOP\r\nc NOOP\r\n"), &n,
					 &r.err), TRANSPORT_OK);
	assert_int_equal(n, 24);
	for (size_t i = 0; i + 4 <= r.wire.n; i++)
		marks += memcmp(r.wire.p + i, mark, 4) == 0;
	assert_int_equal(marks, 1);
	assert_memory_equal(r.wire.p + r.wire.n - 4, mark, 4);
	rig_close(&r);
}

/* Which commands the server can have seen must stay known: see judgement of tagged answers (S2). */
static void test_nothing_counts_as_written_before_all_of_it_is(void **state)
{
	struct rig r;
	size_t n = 77;

	(void)state;
	rig_open(&r, bytes_from(NULL, 0));
	transport_memory_limit(r.memory, SIZE_MAX, 0);
	assert_int_equal(transport_write(r.deflate, bytes_of("a NOOP\r\n"), &n, &r.err),
			 TRANSPORT_AGAIN);
	assert_int_equal(r.wire.n, 0);
	transport_memory_limit(r.memory, SIZE_MAX, SIZE_MAX);
	/* more was queued meanwhile: it waits for the next flight */
	assert_int_equal(transport_write(r.deflate, bytes_of("a NOOP\r\nb NOOP\r\n"), &n, &r.err),
			 TRANSPORT_OK);
	assert_int_equal(n, 8);
	rig_close(&r);
}

static void test_what_is_not_deflate_ends_the_session(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum transport_io want;
	} cases[] = {
		{ "* OK still clear text\r\n", 23, TRANSPORT_FAILED },
		{ "\x07", 1, TRANSPORT_FAILED },                        /* block type 3 */
		{ "\x00\x01\x00\x00\x00x", 6, TRANSPORT_FAILED },       /* lengths disagree */
		{ "\x03\x00", 2, TRANSPORT_EOF },                       /* a proper end */
		{ "\x03\x00" "* OK", 6, TRANSPORT_FAILED },             /* and more behind it */
		{ "\x00\x00\x00\xff\xff", 5, TRANSPORT_AGAIN },         /* an empty block */
		{ "\x00\x03\x00\xfc\xff" "a\r", 7, TRANSPORT_OK },      /* half a block */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t piece[64];
		size_t n = 0;
		struct rig r;

		rig_open(&r, bytes_from(cases[i].bytes, cases[i].n));
		assert_int_equal(transport_read(r.deflate, piece, sizeof(piece), &n, &r.err),
				 cases[i].want);
		if (cases[i].want == TRANSPORT_FAILED)
			assert_int_equal(r.err.kind, ERR_RETRY);
		rig_close(&r);
	}
}

/* P23. A megabyte of nothing is 1 KiB deflated; mail of that kind exists, gigabytes of it do not. */
static void test_a_bomb_is_refused_and_empty_mail_is_not(void **state)
{
	struct buf plain = BUF_INIT(1 << 20), packed = BUF_INIT(1 << 20);
	static uint8_t piece[65536];
	uint64_t got = 0;
	enum transport_io io;
	struct rig r;
	size_t n = 0;

	(void)state;
	while (plain.n < 1 << 20)
		buf_add_byte(&plain, 'A');
	zip(buf_bytes(&plain), Z_FULL_FLUSH, &packed);
	rig_open(&r, bytes_from(NULL, 0));
	for (int i = 0; i < 2000; i++)
		transport_memory_feed(r.memory, buf_bytes(&packed));
	while ((io = transport_read(r.deflate, piece, sizeof(piece), &n, &r.err)) == TRANSPORT_OK)
		got += n;
	assert_int_equal(io, TRANSPORT_FAILED);
	assert_int_equal(r.err.kind, ERR_RETRY);
	assert_non_null(strstr(r.err.text, "compress = no"));
	assert_in_range(got, 256 << 20, 400 << 20);
	rig_close(&r);
	buf_release(&plain);
	buf_release(&packed);
}

/* --- the session --- */

static void keep_trace(void *ctx, char direction, const char *line)
{
	buf_addf(ctx, "%c: %s\n", direction, line);
}

#define READY "S: * PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hello\n"
#define NOOPS "C: n NOOP\nS: * 3 EXISTS\nS: n OK done\nC: m NOOP\nS: m OK done\n"

/* Two NOOPs by the script; what the second came to. */
static int play(enum imap_compress compress, const char *script, bool *compressed, struct err *err)
{
	const struct imap_account account = { .name = "test", .host = "mail.example",
					      .tls = IMAP_TLS_NONE, .user = "alice",
					      .compress = compress, .timeout_ms = 2000 };
	struct buf trace = BUF_INIT(1 << 20);
	const struct imap_trace t = { .level = IMAP_TRACE_ALL, .fn = keep_trace, .ctx = &trace };
	struct imap_play *p = play_new(script);
	struct loop *loop = loop_new(NULL, NULL);
	struct imap_session *s = imap_session_new_on(loop, &account, &t, play_transport(p));
	int rc = imap_session_open(s, err);

	if (rc == 0)
		rc = imap_noop_wait(s, err);
	if (rc == 0)
		rc = imap_noop_wait(s, err);
	*compressed = imap_session_is_compressed(s);
	/* The trace shows plain text on either side of the step. */
	if (rc == 0)
		assert_non_null(strstr(buf_str(&trace), "S: * 3 EXISTS\n"));
	imap_session_free(s);
	loop_free(loop);
	play_finish(p);
	buf_release(&trace);
	return rc;
}

static void test_yes_compresses_right_after_the_login_and_nothing_else_does(void **state)
{
	static const struct {
		enum imap_compress compress;
		const char *script;
		bool compressed;
	} cases[] = {
		{ IMAP_COMPRESS_YES,
		  READY "C: c COMPRESS DEFLATE\nS: c OK now\nDEFLATE\n" NOOPS, true },
		/* the server speaks first, in the same piece as its OK */
		{ IMAP_COMPRESS_YES,
		  READY "C: c COMPRESS DEFLATE\nS: c OK now\nDEFLATE\nS: * OK welcome\n" NOOPS,
		  true },
		/* refused: on in the clear */
		{ IMAP_COMPRESS_YES,
		  READY "C: c COMPRESS DEFLATE\nS: c NO [COMPRESSIONACTIVE] TLS does\n" NOOPS,
		  false },
		{ IMAP_COMPRESS_YES, READY "C: c COMPRESS DEFLATE\nS: c BAD what?\n" NOOPS, false },
		/* not offered */
		{ IMAP_COMPRESS_YES, "S: * PREAUTH [CAPABILITY IMAP4rev1] hello\n" NOOPS, false },
		/* the capabilities have to be asked for */
		{ IMAP_COMPRESS_YES,
		  "S: * PREAUTH hello\nC: a CAPABILITY\nS: * CAPABILITY COMPRESS=DEFLATE\n"
		  "S: a OK done\nC: c COMPRESS DEFLATE\nS: c OK now\nDEFLATE\n" NOOPS, true },
		{ IMAP_COMPRESS_NO, READY NOOPS, false },
		{ IMAP_COMPRESS_AUTO, READY NOOPS, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };
		bool compressed;

		assert_int_equal(play(cases[i].compress, cases[i].script, &compressed, &err), 0);
		assert_int_equal(compressed, cases[i].compressed);
	}
}

static void test_a_server_that_says_ok_and_does_not_compress_loses_the_session(void **state)
{
	static const char *const scripts[] = {
		READY "C: c COMPRESS DEFLATE\nS: c OK now\nS: * 3 EXISTS\n",
		READY "C: c COMPRESS DEFLATE\nS: c OK now\nEND\n",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct err err = { 0 };
		bool compressed;

		assert_int_equal(play(IMAP_COMPRESS_YES, scripts[i], &compressed, &err), -1);
		assert_int_equal(err.kind, ERR_RETRY);
	}
}

static void test_compress_can_be_asked_for_by_hand_once(void **state)
{
	const struct imap_account account = { .name = "test", .host = "mail.example",
					      .tls = IMAP_TLS_NONE, .user = "alice",
					      .compress = IMAP_COMPRESS_NO, .timeout_ms = 2000 };
	struct imap_play *p = play_new(READY "C: a COMPRESS DEFLATE\nS: a NO not now\n"
				       "C: c COMPRESS DEFLATE\nS: c OK now\nDEFLATE\n"
				       "C: n NOOP\nS: n OK done\n");
	struct loop *loop = loop_new(NULL, NULL);
	struct imap_session *s = imap_session_new_on(loop, &account, NULL, play_transport(p));
	struct err err;

	(void)state;
	assert_int_equal(imap_session_open(s, &err), 0);
	assert_int_equal(imap_compress_wait(s, &err), -1);
	assert_int_equal(err.kind, ERR_MAILBOX);
	assert_int_equal(imap_compress_wait(s, &err), 0);
	assert_true(imap_session_is_compressed(s));
	assert_int_equal(imap_compress_wait(s, &err), -1);
	assert_string_equal(err.text, "COMPRESS: in force already");
	assert_int_equal(imap_noop_wait(s, &err), 0);
	imap_session_free(s);
	loop_free(loop);
	play_finish(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_comes_out_however_small_the_pieces_are),
		cmocka_unit_test(test_what_is_read_comes_out_however_it_is_cut),
		cmocka_unit_test(test_a_flight_is_flushed_once_and_at_once),
		cmocka_unit_test(test_nothing_counts_as_written_before_all_of_it_is),
		cmocka_unit_test(test_what_is_not_deflate_ends_the_session),
		cmocka_unit_test(test_a_bomb_is_refused_and_empty_mail_is_not),
		cmocka_unit_test(test_yes_compresses_right_after_the_login_and_nothing_else_does),
		cmocka_unit_test(test_a_server_that_says_ok_and_does_not_compress_loses_the_session),
		cmocka_unit_test(test_compress_can_be_asked_for_by_hand_once),
	};

	return cmocka_run_group_tests_name("imap_compress", tests, NULL, NULL);
}
