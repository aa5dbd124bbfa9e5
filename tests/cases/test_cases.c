#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/imap_case.h"
#include "tests/lib/support.h"

#define MUTATIONS 1000
#define TLS_MUTATIONS 50 /* a handshake each */

static const char *dir;
static glob_t files;

static size_t tag_length(const char *p)
{
	size_t letters = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef");

	return letters == 6 ? letters + strspn(p + letters, "0123456789") : 0;
}

/* A wanted line may end in `...`, and `<tag>` is any tag of a session. */
static bool same_line(const char *want, size_t n, const char *got, size_t m)
{
	const char *want_end = want + n, *got_end = got + m;

	while (want < want_end) {
		size_t tag = strncmp(want, "<tag>", 5) == 0 ? tag_length(got) : 0;

		if (want_end - want == 3 && memcmp(want, "...", 3) == 0)
			return true;
		if (tag) {
			want += 5;
			got += tag;
		} else if (got == got_end || *want++ != *got++) {
			return false;
		}
	}
	return got == got_end;
}

static bool same_text(const char *want, const char *got)
{
	while (*want && *got) {
		size_t n = strcspn(want, "\n"), m = strcspn(got, "\n");

		if (!same_line(want, n, got, m))
			return false;
		want += n + (want[n] == '\n');
		got += m + (got[m] == '\n');
	}
	return !*want && !*got;
}

static void play_file(void **state)
{
	struct buf log = BUF_INIT(1 << 24);
	struct imap_case c;

	case_read(&c, *state);
	case_play(&c, dir, NULL, NULL, &log);
	if (!same_text(c.wanted, buf_str(&log))) {
		fprintf(stderr, "--- wanted\n%s--- got\n%s", c.wanted, buf_str(&log));
		fail_msg("%s", c.path);
	}
	case_release(&c);
	buf_release(&log);
}

/* --- mutations --- */

struct mutation {
	uint64_t random;
	unsigned line, second; /* those that are changed */
	unsigned at;
};

static unsigned draw(struct mutation *m, size_t below)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return below ? (unsigned)((m->random >> 33) % below) : 0;
}

static void insert(struct buf *line, size_t at, const char *text, size_t n)
{
	struct buf tail = BUF_INIT(1 << 24);

	buf_add(&tail, bytes_skip(buf_bytes(line), at));
	line->n = at;
	buf_add(line, bytes_from(text, n));
	buf_add(line, buf_bytes(&tail));
	buf_release(&tail);
}

/* Where the line has digits: another number in their place. */
static void other_number(struct mutation *m, struct buf *line)
{
	static const char *const numbers[] = { "0", "-1", "4294967295", "4294967296",
		"9223372036854775808", "18446744073709551616", "99999999999999999999999", "00",
		"1.5e9", "2147483648", "65537" };
	size_t from = draw(m, line->n), to;
	const char *number = numbers[draw(m, sizeof(numbers) / sizeof(numbers[0]))];

	while (from < line->n && (line->p[from] < '0' || line->p[from] > '9'))
		from++;
	for (to = from; to < line->n && line->p[to] >= '0' && line->p[to] <= '9'; to++)
		;
	memmove(line->p + from, line->p + to, line->n - to);
	line->n -= to - from;
	insert(line, from, number, strlen(number));
}

static void change(struct mutation *m, struct buf *line)
{
	static const char *const words[] = { "(", ")", "\"", "\\", "{3}\r\n", "{99999999}\r\n",
		"~{0}\r\n", "\r\n", "\n", "[", "]", "NIL", "* ", "+ \r\n", " ", "\t", "*", ",", ":",
		"\xff\xfe", "* BYE x\r\n", "* 1 EXPUNGE\r\n", "* OK [CLOSED] x\r\n",
		"((((((((((((((((((((((((((((((((((((((((" };
	static const char nul[1];
	size_t at = draw(m, line->n), n = draw(m, line->n - at + 1);
	const char *word = words[draw(m, sizeof(words) / sizeof(words[0]))];
	char *copy;

	switch (draw(m, 7)) {
	case 0:
		line->p[at] ^= (uint8_t)(1u << draw(m, 8));
		break;
	case 1: /* cut out */
		memmove(line->p + at, line->p + at + n, line->n - at - n);
		line->n -= n;
		break;
	case 2: /* cut off */
		line->n = at;
		break;
	case 3: /* twice */
		copy = bytes_dup(bytes_from(line->p + at, n));
		insert(line, at, copy, n);
		free(copy);
		break;
	case 4:
		insert(line, at, word, strlen(word));
		break;
	case 5:
		insert(line, at, nul, 1);
		break;
	default:
		other_number(m, line);
	}
}

static void mangle(void *ctx, struct buf *line)
{
	struct mutation *m = ctx;

	if ((m->at == m->line || m->at == m->second) && line->n)
		change(m, line);
	m->at++;
}

/* What is told of garbage may be shown on a terminal. */
static void assert_printable(const char *log)
{
	for (const char *p = log; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\n') || *p == 0x7f)
			fail_msg("a control character in: %s", log);
}

static void mutate_file(void **state)
{
	unsigned rounds = MUTATIONS;
	struct imap_case c;

	case_read(&c, *state);
	if (strstr(c.account, "cert="))
		rounds = TLS_MUTATIONS;
	for (unsigned i = 0; i < rounds; i++) {
		struct mutation m = { .random = i };
		struct buf log = BUF_INIT(1 << 24);

		m.line = draw(&m, c.sent);
		m.second = draw(&m, 3) ? m.line : draw(&m, c.sent);
		case_play(&c, dir, mangle, &m, &log);
		assert_printable(buf_str(&log));
		buf_release(&log);
	}
	case_release(&c);
}

/* --- all of them --- */

int main(void)
{
	struct CMUnitTest *tests;
	size_t n;
	int failed;

	if (glob("tests/cases/*.txt", 0, NULL, &files) != 0) {
		fputs("no case files: run from the top of the source tree\n", stderr);
		return EXIT_FAILURE;
	}
	dir = tmp_dir();
	n = files.gl_pathc;
	tests = xcalloc(2 * n, sizeof(*tests));
	for (size_t i = 0; i < n; i++) {
		const char *name = strrchr(files.gl_pathv[i], '/') + 1;

		tests[i] = (struct CMUnitTest){ .name = xstrdup(name), .test_func = play_file,
						.initial_state = files.gl_pathv[i] };
		tests[n + i] = (struct CMUnitTest){ .name = xasprintf("mutations of %s", name),
						    .test_func = mutate_file,
						    .initial_state = files.gl_pathv[i] };
	}
	failed = _cmocka_run_group_tests("cases", tests, 2 * n, NULL, NULL);
	for (size_t i = 0; i < 2 * n; i++)
		free((char *)(uintptr_t)tests[i].name);
	free(tests);
	globfree(&files);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
