/*
 * Messages into packs, durable, against no more than hashing and compressing the same bytes, which
 * nothing that writes git objects can do without; and back out. Then one message of 400 MB in and out, with
 * the largest resident memory. Prints seconds of the processor and by the clock; judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/git/deflate.h"
#include "backends/git/pack_read.h"
#include "backends/git/pack_write.h"
#include "core/base/err.h"
#include "core/base/mem.h"

enum { MESSAGES = 20000, BATCH = 5000, ROUNDS = 5, LARGE_MB = 400 };

static char root[] = "bench-pack.XXXXXX";
static struct bytes message[MESSAGES];
static struct object_id id[MESSAGES];

static void must(int ret, const struct err *err)
{
	if (ret == 0)
		return;
	fprintf(stderr, "%s\n", err->text);
	exit(EXIT_FAILURE);
}

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

struct cost {
	double clock, processor;
};

static struct cost cost_since(struct cost then)
{
	struct timespec t;
	struct rusage used;
	struct cost now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	getrusage(RUSAGE_SELF, &used);
	now.clock = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	now.processor = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
			(double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
	return (struct cost){ now.clock - then.clock, now.processor - then.processor };
}

/* --- mail: a head with random ids, then text, a quarter of it as quoted-printable HTML, or base64 --- */

static uint64_t seed = 20240506;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % n);
}

struct text {
	char *p;
	size_t n, column;
};

static void put(struct text *t, const char *s)
{
	size_t n = strlen(s);

	memcpy(t->p + t->n, s, n);
	t->n += n;
	t->column += n;
}

static void new_line(struct text *t)
{
	put(t, "\r\n");
	t->column = 0;
}

static void put_base64(struct text *t, size_t n)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	while (n-- > 0) {
		t->p[t->n++] = alphabet[random_below(64)];
		if (++t->column == 76)
			new_line(t);
	}
}

/* Words as often as in a language: the k-th about 1/k as often as the first; some of them new. */
static void put_word(struct text *t)
{
	static const char *const common[] = {
		"the", "of", "and", "to", "in", "a", "is", "that", "it", "was", "for", "on", "with", "he",
		"be", "as", "by", "at", "you", "are", "this", "not", "have", "had", "but", "from", "or",
		"which", "one", "would", "all", "will", "there", "say", "who", "make", "when", "can",
		"more", "if", "no", "out", "so", "what", "time", "up", "go", "about", "than", "into",
		"could", "state", "only", "new", "year", "some", "take", "come", "these", "know", "see",
		"use", "get", "like", "then", "first", "any", "work", "now", "may", "such", "give", "over",
		"think", "most", "even", "find", "day", "also", "after", "way", "many", "must", "look",
		"before", "great", "back", "through", "long", "where", "much", "should", "well", "people",
		"down", "own", "just", "because", "good", "each", "those", "feel", "seem", "how", "high",
		"too", "place", "little", "world", "very", "still", "nation", "hand", "old", "life", "tell",
		"write", "become", "here", "show", "house", "both", "between", "need", "mean", "call",
		"develop", "under", "last", "right", "move", "thing", "general", "school", "never", "same",
		"another", "begin", "while", "number", "part", "turn", "real", "leave", "might", "want",
		"point", "form", "off", "child", "few", "small", "since", "against", "ask", "late", "home",
		"interest", "large", "person", "end", "open", "public", "follow", "during", "present",
		"without", "again", "hold", "govern", "around", "possible", "head", "consider", "word",
		"program", "problem", "however", "lead", "system", "set", "order", "eye", "plan", "run",
	};
	enum { COMMON = sizeof(common) / sizeof(common[0]) };
	uint32_t r = random_below(1000);

	if (r < 120) { /* names and words that are nowhere else */
		char word[12];
		size_t n = 4 + random_below(7);

		for (size_t i = 0; i < n; i++)
			word[i] = (char)("etaoinshrdlucmfwypvbgkjqxz"[random_below(1 + random_below(26))]);
		word[n] = '\0';
		put(t, word);
		return;
	}
	put(t, common[random_below(1 + random_below(COMMON))]);
}

static void put_text(struct text *t, size_t upto, bool html)
{
	while (t->n < upto) {
		put_word(t);
		put(t, random_below(12) ? " " : html ? "</p>=20" : ". ");
		if (html && random_below(9) == 0)
			put(t, "<p style=3D\"margin:0\">");
		if (t->column > 66)
			new_line(t);
	}
}

static struct bytes make_message(uint32_t n)
{
	size_t size = 4096 + random_below(4096);
	struct text t = { .p = xmalloc(size + 1024) };
	uint32_t kind = random_below(100);
	char head[200];

	snprintf(head, sizeof(head), "Return-Path: <list-%u@example.org>\r\nReceived: from mx%u.example.org",
		 random_below(50), random_below(9));
	put(&t, head);
	snprintf(head, sizeof(head),
		 "\r\nDate: Mon, 06 May 2024 %02u:%02u:%02u +0200\r\nMessage-ID: <%u.", random_below(24),
		 random_below(60), random_below(60), n);
	put(&t, head);
	put_base64(&t, 24);
	put(&t, "@example.org>\r\nDKIM-Signature: v=1; a=rsa-sha256; c=relaxed; d=example.org;\r\n\tb=");
	put_base64(&t, 344);
	put(&t, "\r\nSubject: ");
	for (int i = 0; i < 6; i++) {
		put_word(&t);
		put(&t, " ");
	}
	put(&t, "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
	t.column = 0;
	if (kind < 15) {
		put_text(&t, t.n + (size - t.n) / 3, false);
		t.column = 0;
		put_base64(&t, (size - t.n) * 74 / 76);
	} else {
		put_text(&t, size, kind < 40);
	}
	return bytes_from(t.p, t.n);
}

/* --- the limit --- */

static uint64_t deflated; /* bytes, of the last run */

static void hash_and_deflate(const char *path)
{
	struct object_hash *h = object_hash_new();
	struct deflater *d = deflater_new(NULL);
	static uint8_t out[1 << 16];

	(void)path;
	deflated = 0;
	for (int i = 0; i < MESSAGES; i++) {
		struct bytes in = message[i];
		bool whole = false;

		object_hash_begin(h, GIT_BLOB, in.n);
		object_hash_update(h, in);
		object_hash_end(h, &id[i]);
		deflater_reset(d);
		while (!whole)
			deflated += deflater_run(d, &in, true, out, sizeof(out), &whole);
	}
	object_hash_free(h);
	deflater_free(d);
}

/* --- the packs --- */

/* As the store does it: each message a stream of known size, looked up in what is published. */
static void write_packs(const char *path)
{
	char name[PACK_NAME_SIZE];
	struct object_source source;
	struct pack_writer *w;
	struct pack_set *set;
	struct err err;

	if (mkdir(path, 0755) < 0)
		die(path);
	set = pack_set_open(path, &err);
	must(set ? 0 : -1, &err);
	source = pack_set_source(set);
	w = pack_writer_new(path, &source);
	for (int i = 0; i < MESSAGES; i++) {
		struct pack_stream *s = pack_stream_begin(w, GIT_BLOB, message[i].n, &err);
		struct object_id got;

		must(s ? 0 : -1, &err);
		must(pack_stream_write(s, message[i], &err), &err);
		must(pack_stream_end(s, &got, NULL, &err), &err);
		if ((i + 1) % BATCH == 0) {
			must(pack_publish(w, name, &err), &err);
			must(pack_set_refresh(set, &err), &err);
		}
	}
	pack_writer_free(w);
	pack_set_free(set);
}

static int count_bytes(void *ctx, struct bytes piece, struct err *err)
{
	(void)err;
	*(uint64_t *)ctx += piece.n;
	return 0;
}

/* All of them again, from the packs of the round before. */
static void read_packs(const char *path)
{
	struct err err;
	struct pack_set *set;
	uint64_t n = 0;

	set = pack_set_open(path, &err);
	must(set ? 0 : -1, &err);
	for (int i = 0; i < MESSAGES; i++) {
		struct pack_at at;

		if (!pack_set_find(set, &id[i], &at))
			must(pack_missing(set, &id[i], &err), &err);
		must(pack_object_stream(set, &at, NULL, NULL, count_bytes, &n, &err), &err);
	}
	pack_set_free(set);
}

static void merge_packs(const char *path)
{
	uint64_t dropped;
	struct err err;
	struct pack_set *set = pack_set_open(path, &err);
	char name[PACK_NAME_SIZE];
	const char *names[16];
	size_t n;

	must(set ? 0 : -1, &err);
	for (n = 0; n < pack_set_count(set); n++)
		names[n] = pack_name(pack_set_pack(set, n));
	must(pack_merge(set, names, n, NULL, name, &dropped, &err), &err);
	pack_set_free(set);
}

/* The fewest of several rounds: other work on the machine only ever adds. */
static void measure(void (*run)(const char *), int round, struct cost *best)
{
	char path[64];
	struct cost start, took;

	snprintf(path, sizeof(path), "%s/%d", root, round);
	sync(); /* what lies about from before is nobody's */
	start = cost_since((struct cost){ 0 });
	run(path);
	took = cost_since(start);
	if (round == 0 || took.clock < best->clock)
		best->clock = took.clock;
	if (round == 0 || took.processor < best->processor)
		best->processor = took.processor;
}

static void print(const char *what, struct cost c, struct cost limit)
{
	printf("%9.3f s %9.3f s %6.2f  %s\n", c.processor, c.clock, c.processor / limit.processor, what);
}

/* --- one large message, in a process of its own --- */

static void in_and_out(void)
{
	enum { PIECE = 1 << 16, PIECES = LARGE_MB * 16 };
	static uint8_t piece[PIECE];
	char path[64], name[PACK_NAME_SIZE];
	struct text t = { .p = (char *)piece };
	struct object_id large;
	struct pack_stream *s;
	struct pack_writer *w;
	struct pack_set *set;
	struct pack_at at;
	struct rusage used;
	struct cost in, out;
	uint64_t n = 0;
	struct err err;

	put_base64(&t, PIECE - PIECE / 76 * 2 - 4);
	memset(piece + t.n, 'A', PIECE - t.n);
	snprintf(path, sizeof(path), "%s/large", root);
	if (mkdir(path, 0755) < 0)
		die(path);
	in = cost_since((struct cost){ 0 });
	w = pack_writer_new(path, NULL);
	s = pack_stream_begin(w, GIT_BLOB, (uint64_t)PIECES * PIECE, &err);
	must(s ? 0 : -1, &err);
	for (int i = 0; i < PIECES; i++) {
		memcpy(piece, &i, sizeof(i));
		must(pack_stream_write(s, bytes_from(piece, PIECE), &err), &err);
	}
	must(pack_stream_end(s, &large, NULL, &err), &err);
	must(pack_publish(w, name, &err), &err);
	pack_writer_free(w);
	in = cost_since(in);
	out = cost_since((struct cost){ 0 });
	set = pack_set_open(path, &err);
	must(set ? 0 : -1, &err);
	if (!pack_set_find(set, &large, &at))
		must(pack_missing(set, &large, &err), &err);
	must(pack_object_stream(set, &at, NULL, NULL, count_bytes, &n, &err), &err);
	pack_set_free(set);
	out = cost_since(out);
	getrusage(RUSAGE_SELF, &used);
	printf("one message of %d MB: in %.3f s (%.3f s), out %.3f s (%.3f s), %.1f MB resident at most\n",
	       LARGE_MB, in.processor, in.clock, out.processor, out.clock, (double)used.ru_maxrss / 1024);
}

static void large_message(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		in_and_out();
		exit(EXIT_SUCCESS);
	}
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		exit(EXIT_FAILURE);
}

int main(void)
{
	struct cost limit = { 0 }, in = { 0 }, out = { 0 }, merge = { 0 };
	uint64_t total = 0;
	char *clean;

	if (!mkdtemp(root))
		die(root);
	large_message(); /* first, while this process is small */
	for (uint32_t i = 0; i < MESSAGES; i++) {
		message[i] = make_message(i);
		total += message[i].n;
	}
	for (int i = 0; i < ROUNDS; i++) {
		measure(hash_and_deflate, i, &limit);
		measure(write_packs, i, &in);
		measure(read_packs, i, &out);
		measure(merge_packs, i, &merge);
	}
	printf("%d messages, %.1f MB, %.1f MB deflated (%s), best of %d: of the processor, by the clock, ratio\n",
	       MESSAGES, (double)total / 1e6, (double)deflated / 1e6, coder_name(coders[0]), ROUNDS);
	print("the limit: hash and deflate, nothing written", limit, limit);
	print("into 4 packs, durable", in, limit);
	print("out of them, checked", out, limit);
	print("the 4 packs merged into one, durable", merge, limit);
	if (asprintf(&clean, "rm -rf '%s'", root) < 0 || system(clean) != 0)
		die(root);
	free(clean);
	return 0;
}
