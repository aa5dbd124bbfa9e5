#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/imap/lexer.h"

#define INPUT(text) (text), sizeof(text) - 1
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_TOKEN 16
#define MAX_LINE 24

static void add_token(struct buf *out, const struct imap_token *tok)
{
	switch (tok->type) {
	case IMAP_TOKEN_ATOM:
		buf_add_str(out, tok->glued ? "glued:" : "a:");
		break;
	case IMAP_TOKEN_STRING:
		buf_add_str(out, "s:");
		break;
	case IMAP_TOKEN_LITERAL:
		buf_addf(out, "%s%llu:", tok->binary ? "~" : "", (unsigned long long)tok->size);
		break;
	case IMAP_TOKEN_PIECE:
		break;
	case IMAP_TOKEN_OPEN:
		buf_add_str(out, "(");
		break;
	case IMAP_TOKEN_CLOSE:
		buf_add_str(out, ")");
		break;
	case IMAP_TOKEN_BRACKET:
		buf_add_str(out, "[");
		break;
	case IMAP_TOKEN_EOL:
		buf_add_str(out, ".");
		break;
	case IMAP_TOKEN_REST:
		buf_add_str(out, tok->cut ? "cut:" : "rest:");
		break;
	case IMAP_TOKEN_BAD:
		buf_add_str(out, "BAD:");
		break;
	}
	/* As the pieces of a literal differ from cut to cut, every byte stands for itself. */
	for (size_t i = 0; i < tok->text.n; i++)
		escape_add(out, bytes_from(tok->text.p + i, 1), 1);
	if (tok->comma)
		buf_add_byte(out, ',');
	if (tok->type != IMAP_TOKEN_PIECE || tok->size == 0)
		buf_add_byte(out, '|');
}

/*
 * Tokens of `input` in `mode`, in pieces of `step` bytes (0: whole). After BAD the rest of
 * the line is asked for, as a reader does.
 */
static void lex(struct buf *out, enum imap_lex_mode mode, struct bytes input, size_t step)
{
	struct imap_lexer *lx = imap_lexer_new(MAX_TOKEN, MAX_LINE);
	enum imap_step res = IMAP_STEP_MORE;
	enum imap_lex_mode now = mode;
	struct err err;

	while (input.n > 0 && res != IMAP_STEP_ERROR) {
		size_t n = step && step < input.n ? step : input.n;
		char *piece = bytes_dup(bytes_from(input.p, n));
		struct bytes in = bytes_from(piece, n);
		struct imap_token tok;

		while ((res = imap_lexer_next(lx, now, &in, &tok, &err)) == IMAP_STEP_READY) {
			add_token(out, &tok);
			if (tok.type == IMAP_TOKEN_BAD && !imap_lexer_at_line_start(lx))
				now = IMAP_LEX_LINE;
			else if (tok.type == IMAP_TOKEN_BRACKET)
				now = IMAP_LEX_TEXT;
			else
				now = mode;
		}
		free(piece);
		input = bytes_skip(input, n);
	}
	if (res == IMAP_STEP_ERROR)
		buf_addf(out, "ERROR %s", err.text);
	imap_lexer_free(lx);
}

static const struct row {
	enum imap_lex_mode mode;
	const char *input;
	size_t n;
	const char *want;
} rows[] = {
	/* Values. */
	{ IMAP_LEX_VALUE, INPUT("a (b c) \"d e\" NIL \"NIL\"\r\n"),
	  "a:a|(|a:b|a:c|)|s:d e|a:NIL|s:NIL|.|" },
	{ IMAP_LEX_VALUE, INPUT("((a)b)c\n"), "(|(|a:a|)|a:b|)|a:c|.|" },
	{ IMAP_LEX_VALUE, INPUT(" \t a  \t b \t\r\n"), "a:a|a:b|.|" },
	{ IMAP_LEX_VALUE, INPUT("\r\n\n\r\r\n"), ".|.|.|" },
	{ IMAP_LEX_VALUE, INPUT("\\Seen a]b [Gmail]/x a\"b a{3}\r\n"),
	  "a:\\\\Seen|a:a]b|a:[Gmail]/x|a:a\"b|a:a{3}|.|" },
	{ IMAP_LEX_VALUE, INPUT("a\0b \xff\r\n"), "a:a\\x00b|a:\\xFF|.|" },
	/* Quoted strings, P4: only two escapes, and quotes inside that nobody escaped. */
	{ IMAP_LEX_VALUE, INPUT("\"\" \"a\\\"b\\\\\"\r\n"), "s:|s:a\"b\\\\|.|" },
	{ IMAP_LEX_VALUE, INPUT("\"a\\bc\"\r\n"), "s:a\\\\bc|.|" },
	{ IMAP_LEX_VALUE, INPUT("\"a \"b\", c\")\r\n"), "s:a \"b\", c|)|.|" },
	{ IMAP_LEX_VALUE, INPUT("\"a\"\"b\"\n"), "s:a\"\"b|.|" },
	{ IMAP_LEX_VALUE, INPUT("\"a\r\nb\n"), "BAD:quoted string without an end|rest:|a:b|.|" },
	{ IMAP_LEX_VALUE, INPUT("\"a\\\nb\n"), "BAD:quoted string without an end|rest:|a:b|.|" },
	/* Literals, P2. */
	{ IMAP_LEX_VALUE, INPUT("{3}\r\n\r\n) {0}\r\n)\r\n"), "3:|\\x0D\\x0A)|0:|)|.|" },
	{ IMAP_LEX_VALUE, INPUT("~{2}\r\n\0\xff a {1+}\r\nb\n"), "~2:|\\x00\\xFF|a:a|1:|b|.|" },
	{ IMAP_LEX_VALUE, INPUT("{1}\na {1-}\r\nb ~a ~\n"), "1:|a|1:|b|a:~a|a:~|.|" },
	{ IMAP_LEX_VALUE, INPUT("{2}\r\nabc) {0}\r\nd e {1}\r\na)b\n"),
	  "2:|ab|glued:c|)|0:|glued:d|a:e|1:|a|)|a:b|.|" },
	{ IMAP_LEX_VALUE, INPUT("{18446744073709551615}\r\n"), "18446744073709551615:|" },
	{ IMAP_LEX_VALUE, INPUT("{18446744073709551616}\r\n"),
	  "ERROR protocol error: literal size out of range: {1844674407370955161" },
	{ IMAP_LEX_VALUE, INPUT("{} {2}\r\nab\r\nx\r\n"),
	  "BAD:literal without a size|rest:} \"ab\"|a:x|.|" },
	{ IMAP_LEX_VALUE, INPUT("{-1}\r\n"), "BAD:literal without a size|rest:-1}|" },
	{ IMAP_LEX_VALUE, INPUT("{1x}\r\n"), "BAD:bad literal size|rest:x}|" },
	{ IMAP_LEX_VALUE, INPUT("{12\r\na\n"), "BAD:bad literal size|rest:|a:a|.|" },
	{ IMAP_LEX_VALUE, INPUT("{1} a\r\n"), "BAD:no line end after a literal size|rest:a|" },
	{ IMAP_LEX_VALUE, INPUT("a\rb\r\n"), "a:a|BAD:CR without LF|rest:b|" },
	/* Ceilings. */
	{ IMAP_LEX_VALUE, INPUT("1234567890123456 \"1234567890123456\"\n"),
	  "a:1234567890123456|s:1234567890123456|.|" },
	{ IMAP_LEX_VALUE, INPUT("12345678901234567 {2}\r\nab x\ny\n"),
	  "BAD:token too long|rest:7 \"ab\" x|a:y|.|" },
	{ IMAP_LEX_VALUE, INPUT("1234567890123456{2}\r\nx\n"),
	  "BAD:token too long|rest:{2}|a:x|.|" },
	{ IMAP_LEX_VALUE, INPUT("\"1234567890123456 (\" {1}\r\na\r\n"),
	  "BAD:token too long|rest:(\" \"a\"|" },
	{ IMAP_LEX_VALUE, INPUT("\"123456789012345\\a\"\r\n"), "BAD:token too long|rest:a\"|" },
	/* The first word. */
	{ IMAP_LEX_FIRST, INPUT("* A1 +x \0\0 \r\n \r\n{3} (\"a\n"),
	  "a:*|a:A1|a:+|a:x|a:{3}|a:(\"a|" },
	/* A name. */
	{ IMAP_LEX_WORD, INPUT(" OK(x {3}\r\n\"a ~{\r\n"), "a:OK|a:(x|a:{3}|.|a:\"a|a:~{|.|" },
	{ IMAP_LEX_WORD, INPUT("OK [a] b\r\nx\n"), "a:OK|[|rest:[a] b|a:x|.|" },
	/* Items of FETCH. */
	{ IMAP_LEX_ITEM, INPUT("BODY[]<0> UID\r\n"), "a:BODY[]<0>|a:UID|.|" },
	{ IMAP_LEX_ITEM, INPUT("BODY[A (b c)] x\r\n"), "a:BODY[A (b c)]|a:x|.|" },
	{ IMAP_LEX_ITEM, INPUT("B[\"a]\\\"b\"] x\n"), "a:B[\"a]\\\\\"b\"]|a:x|.|" },
	{ IMAP_LEX_ITEM, INPUT("B[({3}\r\na\"])] x\n"), "a:B[(\"a\\\\\"]\")]|a:x|.|" },
	{ IMAP_LEX_ITEM, INPUT("B[{0}\r\n] x\n"), "a:B[\"\"]|a:x|.|" },
	{ IMAP_LEX_ITEM, INPUT("B[]{1}\r\nx A\"y\"(z\n"),
	  "a:B[]|1:|x|a:A|BAD:quoted string without an end|rest:|" },
	{ IMAP_LEX_ITEM, INPUT("B[a\r\nx\n"), "BAD:line ends inside a section|a:x|.|" },
	{ IMAP_LEX_ITEM, INPUT("B[45678901234567] x\n"), "BAD:section too long|rest:x|" },
	{ IMAP_LEX_ITEM, INPUT("B[{20}\r\n12345678901234567890] x\n"),
	  "BAD:section too long|rest:x|" },
	{ IMAP_LEX_ITEM, INPUT("B[1234567890123 {3}\r\n]\r\n] x\n"),
	  "BAD:section too long|rest:x|" },
	{ IMAP_LEX_ITEM, INPUT("B[{9999999999999999999999}\r\n"),
	  "ERROR protocol error: literal size out of range: B[{9999999999999999999999}" },
	/* Sets. */
	{ IMAP_LEX_SET, INPUT("1:3,5,7 8\r\n"), "a:1:3,|a:5,|a:7|a:8|.|" },
	{ IMAP_LEX_SET, INPUT(",1,,2, 3,\r\n"), "a:1,|a:2,|a:3,|.|" },
	{ IMAP_LEX_SET, INPUT("(MODSEQ 5)\r\n"), "(|a:MODSEQ|a:5|)|.|" },
	/* Text. */
	{ IMAP_LEX_TEXT, INPUT(" hello \"x (y {3}\r\nb \r\n\r\n"),
	  "rest:hello \"x (y {3}|rest:b|rest:|" },
	{ IMAP_LEX_TEXT, INPUT("[A {2}\r\n]\" b] {3}\r\n"), "rest:[A \"]\\\\\"\" b] {3}|" },
	{ IMAP_LEX_TEXT, INPUT("[A \"]\" (]) c] {3}\r\n"), "rest:[A \"]\" (]) c] {3}|" },
	{ IMAP_LEX_TEXT, INPUT("123456789012345678901234567890\r\na\n"),
	  "cut:123456789012345678901234|rest:a|" },
	{ IMAP_LEX_PLAIN, INPUT("[A {2}\r\nx\r\r\n"), "rest:[A {2}|rest:x|" },
	/* Raw lines. */
	{ IMAP_LEX_LINE, INPUT("a {3}\r\nb\"\n ~{1}\r\n\0 c\r\nd\n"),
	  "rest:a \"b\\\\\"\\x0A\" \"\\x00\" c|rest:d|" },
	{ IMAP_LEX_LINE, INPUT("\"a {3}\" b{3}\r\n\"{3}\n"), "rest:\"a {3}\" b{3}|rest:\"{3}|" },
	{ IMAP_LEX_LINE, INPUT("{0}\r\n {0+}\n\r\n"), "rest:\"\" \"\"|" },
	{ IMAP_LEX_LINE, INPUT("{40}\r\n0123456789012345678901234567890123456789 x\r\ny\n"),
	  "cut:\"01234567890123456789012|rest:y|" },
	{ IMAP_LEX_LINE, INPUT("a\rb {1}\r\r\nc\r\n"), "rest:a\\x0Db \"c\"|" },
	{ IMAP_LEX_LINE, INPUT("{99999999999999999999}x\r\ny\n"),
	  "rest:{99999999999999999999}x|rest:y|" },
};

static void test_any_cut_gives_the_same_tokens(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t step = 0; step < rows[i].n; step++) {
			struct buf got = BUF_INIT(4096);

			lex(&got, rows[i].mode, bytes_from(rows[i].input, rows[i].n), step);
			if (strcmp(buf_str(&got), rows[i].want) != 0)
				print_error("row %zu in pieces of %zu\n", i, step);
			assert_string_equal(buf_str(&got), rows[i].want);
			buf_release(&got);
		}
}

static void test_the_beginning_of_the_line_is_kept_without_literals(void **state)
{
	struct imap_lexer *lx = imap_lexer_new(MAX_TOKEN, MAX_LINE);
	struct bytes in = bytes_of("a {6}\r\nsecret b\r\nc");
	struct imap_token tok;
	struct err err;

	(void)state;
	assert_true(imap_lexer_at_line_start(lx));
	do
		assert_int_equal(imap_lexer_next(lx, IMAP_LEX_VALUE, &in, &tok, &err),
				 IMAP_STEP_READY);
	while (tok.type != IMAP_TOKEN_EOL);
	assert_true(imap_lexer_at_line_start(lx));
	assert_true(bytes_is(imap_lexer_seen(lx), "a {6}\r\n b"));
	assert_int_equal(imap_lexer_next(lx, IMAP_LEX_VALUE, &in, &tok, &err), IMAP_STEP_MORE);
	assert_false(imap_lexer_at_line_start(lx));
	assert_true(bytes_is(imap_lexer_seen(lx), "c"));
	imap_lexer_free(lx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_cut_gives_the_same_tokens),
		cmocka_unit_test(test_the_beginning_of_the_line_is_kept_without_literals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
