#include "tests/lib/corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/support.h"

enum { LARGEST_LINE = 70000, FILL_BATCH = 200 };

const struct corpus_mailbox corpus_mailboxes[] = {
	{ "INBOX", "INBOX", 12 },
	{ "Sent", "Sent", 5 },
	{ "Archive/2023/Invoices & receipts", "Archive/2023/Invoices &- receipts", 7 },
	{ "Entw\xc3\xbcrfe", "Entw&APw-rfe", 3 },
	{ "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e/\xe5\x8f\x97\xe4\xbf\xa1",
	  "&ZeVnLIqe-/&U9dP4Q-", 4 },
	{ "Party \xf0\x9f\x8e\x89", "Party &2DzfiQ-", 2 },
	{ "Lists", "Lists", 0 },
	{ "Lists/c-users", "Lists/c-users", 6 },
};
const size_t corpus_mailboxes_n = sizeof(corpus_mailboxes) / sizeof(corpus_mailboxes[0]);

/* splitmix64: the same numbers everywhere, and neighbours unlike each other. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t hash_of(uint32_t number)
{
	uint64_t state = number;

	return next_random(&state);
}

size_t corpus_size(uint32_t number, size_t least, size_t most)
{
	return least + hash_of(number) % (most - least + 1);
}

size_t corpus_mixed_size(uint32_t number, size_t largest)
{
	uint64_t h = hash_of(number);

	if (number % 500 == 499)
		return largest;
	if (h % 50 == 0)
		return 100000 + h / 50 % 900000;
	return 300 + h / 50 % 16000;
}

static void add_words(struct buf *b, uint64_t *random, size_t until)
{
	static const char *const word[] = { "the",     "letter",  "arrived", "before", "winter",
					    "nobody",  "answers", "From",    "here",   "meeting",
					    "invoice", "1,299",   "--",      "please", ".",
					    "harbour", "soft" };
	size_t line = 0;

	while (b->n < until) {
		const char *w = word[next_random(random) % (sizeof(word) / sizeof(word[0]))];

		buf_addf(b, "%s%s", line ? " " : "", w);
		line += strlen(w) + 1;
		if (line > 66) {
			buf_add_str(b, "\r\n");
			line = 0;
		}
	}
	buf_add_str(b, "\r\n");
}

static void add_8bit(struct buf *b, uint64_t *random, size_t until)
{
	while (b->n < until) {
		for (int i = 0; i < 60; i++) {
			uint8_t c = (uint8_t)next_random(random);

			buf_add_byte(b, c == 0 || c == '\r' || c == '\n' ? 0xe4 : c);
		}
		buf_add_str(b, "\r\n");
	}
}

static void add_base64(struct buf *b, uint64_t *random, size_t until)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char line[78];

	while (b->n < until) {
		uint64_t r = 0;

		for (int i = 0; i < 76; i++, r >>= 6) {
			if (i % 10 == 0)
				r = next_random(random);
			line[i] = digit[r & 63];
		}
		line[76] = '\r';
		line[77] = '\n';
		buf_add(b, bytes_from(line, sizeof(line)));
	}
}

static void add_headers(struct buf *b, uint32_t number, const char *subject)
{
	buf_addf(b,
		 "Return-Path: <sender%u@example.org>\r\n"
		 "Received: from mx.example.org (mx.example.org [192.0.2.%u])\r\n"
		 "\tby mail.example.com with ESMTPS id %08x;\r\n"
		 "\tSun, 1 Mar 2020 10:00:00 +0100\r\n"
		 "From: Sender %u <sender%u@example.org>\r\nTo: reader@example.com\r\n"
		 "Subject: %s %u\r\nMessage-ID: <%u.%016llx@example.org>\r\n"
		 "Date: Sun, 1 Mar 2020 09:59:%02u +0100\r\nMIME-Version: 1.0\r\n",
		 number, number % 250 + 1, number, number, number, subject, number, number,
		 (unsigned long long)hash_of(number), number % 60);
}

static void add_multipart(struct buf *b, uint32_t number, uint64_t *random, size_t size)
{
	add_headers(b, number, "=?utf-8?Q?Anh=C3=A4nge?=");
	buf_addf(b,
		 "Content-Type: multipart/mixed; boundary=\"=_%08x\"\r\n\r\n"
		 "--=_%08x\r\nContent-Type: text/plain; charset=utf-8\r\n"
		 "Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9f"
		 "e, see the attachment.\r\n\r\n--=_%08x\r\n"
		 "Content-Type: application/octet-stream; name=\"data-%u.bin\"\r\n"
		 "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n",
		 number, number, number, number);
	add_base64(b, random, size);
	buf_addf(b, "--=_%08x--\r\n", number);
}

/* What the shape needs beyond headers; shapes turn with the number. */
static void add_shape(struct buf *b, uint32_t number, uint64_t *random, size_t size)
{
	if (number % 10 == 2 || size > 100000) {
		add_multipart(b, number, random, size);
		return;
	}
	switch (number % 10) {
	case 3:
		add_headers(b, number, "8-bit body");
		buf_add_str(b, "Content-Type: text/plain; charset=iso-8859-1\r\n\r\n");
		add_8bit(b, random, size);
		break;
	case 4: /* RFC 6532 headers, and bytes that are not UTF-8 */
		add_headers(b, number, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e caf\xe9");
		buf_add_str(b, "\r\n");
		add_words(b, random, size);
		break;
	case 5:
		add_headers(b, number, "no final newline");
		buf_add_str(b, "\r\n");
		add_words(b, random, size);
		buf_add_str(b, "the end");
		break;
	case 6: /* headers, blank line, nothing */
		add_headers(b, number, "empty body");
		buf_add_str(b, "\r\n");
		break;
	case 7: /* not even the blank line */
		add_headers(b, number, "headers only");
		break;
	case 8:
		add_headers(b, number, "a long line");
		buf_add_str(b, "\r\n");
		for (size_t i = 0; i < LARGEST_LINE / 10 && number % 50 == 8; i++)
			buf_addf(b, "word%05zu ", i);
		add_words(b, random, size > b->n ? size : b->n);
		break;
	default:
		add_headers(b, number, "plain");
		buf_add_str(b, "\r\n");
		add_words(b, random, size);
	}
}

static void set_date(uint32_t number, char *out, size_t size)
{
	static const char *const month[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	static const char *const zone[] = { "+0000", "+0100", "-0500", "+0530", "-1200",
					    "+1400", "-0330", "+0545" };

	snprintf(out, size, "%2u-%s-%u %02u:%02u:%02u %s", number % 28 + 1, month[number / 3 % 12],
		 1995 + number % 29, number % 24, number / 7 % 60, number % 60, zone[number % 8]);
}

void corpus_message(uint32_t number, size_t size, struct corpus_message *out)
{
	static const char *const flags[] = {
		"", "\\Seen", "\\Seen \\Answered", "\\Flagged", "\\Seen $Forwarded",
		"\\Seen NonJunk", "\\Draft", "\\Seen \\Flagged $label1 custom-word", "\\Deleted",
		"$MDNSent", "\\Seen \\Answered \\Flagged $Forwarded Junk",
	};
	uint64_t random = number ^ 0x6d61696c63617368;

	*out = (struct corpus_message){ .body = BUF_INIT((size_t)1 << 30) };
	out->flags = flags[number % (sizeof(flags) / sizeof(flags[0]))];
	set_date(number, out->date, sizeof(out->date));
	buf_reserve(&out->body, size + 4096);
	add_shape(&out->body, number, &random, size);
}

void corpus_message_release(struct corpus_message *m)
{
	buf_release(&m->body);
}

/* Append messages of the sizes that `size_of` gives, some at a time. */
static void fill(struct oracle *o, const char *mailbox, uint32_t first, uint32_t n,
		 size_t (*size_of)(uint32_t number, const size_t *arg), const size_t *arg)
{
	struct corpus_message made[FILL_BATCH];
	struct oracle_new batch[FILL_BATCH];

	for (uint32_t done = 0; done < n;) {
		size_t k = 0, bytes = 0;

		for (; k < FILL_BATCH && done < n && bytes < (8 << 20); k++, done++) {
			corpus_message(first + done, size_of(first + done, arg), &made[k]);
			batch[k] = (struct oracle_new){ .flags = made[k].flags,
							.date = made[k].date,
							.body = buf_bytes(&made[k].body) };
			bytes += made[k].body.n;
		}
		oracle_append(o, mailbox, batch, k);
		while (k > 0)
			corpus_message_release(&made[--k]);
	}
}

static size_t even_size(uint32_t number, const size_t *arg)
{
	return corpus_size(number, arg[0], arg[1]);
}

static size_t mixed_size(uint32_t number, const size_t *arg)
{
	return corpus_mixed_size(number, *arg);
}

void corpus_fill(struct oracle *o, const char *mailbox, uint32_t first, uint32_t n, size_t least,
		 size_t most)
{
	const size_t range[] = { least, most };

	fill(o, mailbox, first, n, even_size, range);
}

void corpus_fill_mixed(struct oracle *o, const char *mailbox, uint32_t first, uint32_t n,
		       size_t largest)
{
	fill(o, mailbox, first, n, mixed_size, &largest);
}

void corpus_fill_demo(struct oracle *o)
{
	uint32_t number = 1;

	for (size_t i = 0; i < corpus_mailboxes_n; i++) {
		const struct corpus_mailbox *mb = &corpus_mailboxes[i];

		if (strcmp(mb->wire, "INBOX") != 0)
			oracle_create(o, mb->wire);
		corpus_fill(o, mb->wire, number, mb->messages, 500, 9000);
		number += mb->messages;
	}
	corpus_fill(o, "INBOX", number, 1, (size_t)20 << 20, (size_t)20 << 20);
}

void corpus_fill_account(struct oracle *o)
{
	oracle_create(o, "Archive");
	oracle_create(o, "Archive/&AMQgrA-");
	oracle_create(o, "empty");
	oracle_create(o, "Sent");
	oracle_command(o, "SUBSCRIBE Archive");
	corpus_fill_mixed(o, "INBOX", 480, 40, 3 << 20);
	corpus_fill(o, "Archive/&AMQgrA-", 20, 10, 0, 3000);
	corpus_fill(o, "Archive/&AMQgrA-", 20, 2, 0, 3000); /* the first two again */
	corpus_fill(o, "Sent", 40, 5, 0, 3000);
	oracle_store(o, "INBOX", "3:9", "+FLAGS", "$Work $Forwarded \\Answered");
}
