#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/imap/commands.h"
#include "core/imap/tree.h"
#include "tests/lib/imap_rig.h"

static void describe(const struct imap_node *node, struct buf *out)
{
	if (node->type == IMAP_NODE_NIL)
		buf_add_str(out, "nil");
	if (node->type == IMAP_NODE_STRING)
		buf_add_byte(out, '\'');
	buf_add(out, bytes_from(node->text, node->size));
	if (node->type == IMAP_NODE_STRING)
		buf_add_byte(out, '\'');
	if (node->type != IMAP_NODE_LIST)
		return;
	buf_add_byte(out, '<');
	for (size_t i = 0; i < node->n; i++) {
		if (i)
			buf_add_byte(out, ' ');
		describe(&node->children[i], out);
	}
	buf_add_byte(out, '>');
}

static void test_any_answer_becomes_a_tree(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "<>" },
		{ "INBOX (STORAGE 1 2) \"a \\\"b\\\"\" NIL", "<INBOX <STORAGE 1 2> 'a \"b\"' nil>" },
		{ "(\\Seen (())) nil \"NIL\"", "<<\\Seen <<>>> nil 'NIL'>" },
		{ "(1 2)(3 4 (5))", "<<1 2> <3 4 <5>>>" },
		{ "(", NULL }, { ")", NULL }, { "(a))", NULL }, { "\"open", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_node *root = imap_tree_new(bytes_of(cases[i].text));
		struct buf text = BUF_INIT(4096);

		assert_int_equal(root != NULL, cases[i].want != NULL);
		if (root) {
			describe(root, &text);
			assert_string_equal(buf_str(&text), cases[i].want);
		}
		buf_release(&text);
		imap_tree_free(root);
	}
}

static void test_depth_and_size_have_limits(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct imap_node *root;

	(void)state;
	for (int depth = 32; depth <= 33; depth++) {
		buf_clear(&text);
		for (int i = 0; i < depth; i++)
			buf_add_byte(&text, '(');
		for (int i = 0; i < depth; i++)
			buf_add_byte(&text, ')');
		root = imap_tree_new(buf_bytes(&text));
		assert_int_equal(root != NULL, depth == 32);
		imap_tree_free(root);
	}
	buf_clear(&text);
	for (int i = 0; i < 100001; i++)
		buf_add_str(&text, "x ");
	assert_null(imap_tree_new(buf_bytes(&text)));
	buf_release(&text);
}

static void on_answer(void *ctx, const struct imap_response *r)
{
	struct imap_rig *rig = ctx;
	struct imap_node *root;

	if (r->type != IMAP_RESPONSE_OTHER)
		return;
	root = imap_tree_new(r->u.other.text);
	if (root)
		describe(root, &rig->log);
	else
		buf_add_str(&rig->log, "broken");
	buf_add_byte(&rig->log, ' ');
	imap_tree_free(root);
}

static void test_a_command_by_hand_gets_whatever_is_answered(void **state)
{
	struct imap_encoder e;
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "X-THING",
		      "C: a X-THING \"two words\" (1:5)\nS: * X-THING (1 (2)) \"a b\"\n"
		      "S: * X-OTHER (\nS: a NO [X-CODE] no\n");
	imap_session_encoder(rig.session, &e);
	imap_encode_atom(&e, bytes_of("X-THING"));
	imap_encode_astring(&e, bytes_of("two words"));
	imap_encode_open(&e);
	imap_encode_set_text(&e, bytes_of("1:5"));
	imap_encode_close(&e);
	assert_int_equal(imap_encoder_finish(&e, &rig.err), 0);
	imap_raw(rig.session, &e, &(struct imap_handler){ .on_response = on_answer,
							  .on_done = imap_rig_note,
							  .ctx = &rig });
	imap_rig_drain(&rig);
	imap_rig_expect(&rig, "<<1 <2>> 'a b'> broken no ");
	/* A name that is no atom would be another command. */
	imap_session_encoder(rig.session, &e);
	imap_encode_atom(&e, bytes_of("X\r\nY"));
	assert_int_equal(imap_encoder_finish(&e, &rig.err), -1);
	imap_encoder_release(&e);
	imap_rig_close(&rig);
}

static void test_version_and_limits_can_be_asked(void **state)
{
	static const struct {
		const char *caps;
		enum imap_protocol protocol;
		struct imap_limits limits;
	} cases[] = {
		{ "", IMAP_PROTOCOL_REV1, { 65536, 700, 0, 0 } },
		{ "IMAP4rev2 CONDSTORE APPENDLIMIT=500 MESSAGELIMIT=20", IMAP_PROTOCOL_REV1,
		  { 65536, 7600, 500, 20 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_limits limits;
		struct imap_rig rig;

		imap_rig_open(&rig, cases[i].caps, "");
		limits = imap_session_limits(rig.session);
		assert_int_equal(imap_session_protocol(rig.session), cases[i].protocol);
		assert_int_equal(limits.command_bytes, cases[i].limits.command_bytes);
		assert_int_equal(limits.set_bytes, cases[i].limits.set_bytes);
		assert_int_equal(limits.append_bytes, cases[i].limits.append_bytes);
		assert_int_equal(limits.messages, cases[i].limits.messages);
		imap_rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_answer_becomes_a_tree),
		cmocka_unit_test(test_depth_and_size_have_limits),
		cmocka_unit_test(test_a_command_by_hand_gets_whatever_is_answered),
		cmocka_unit_test(test_version_and_limits_can_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
