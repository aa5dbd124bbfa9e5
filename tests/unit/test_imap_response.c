#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/imap/response.h"
#include "core/imap/scan.h"
#include "core/msgset/uidset.h"
#include "tests/lib/response_dump.h"

/*
 * What a server sends, and all that the parser makes of it as response_dump() writes it. A name
 * that begins with P and a number is a trap that real servers have set.
 */
struct row {
	const char *name;
	const char *input;
	size_t n;
	const char *want;
};

#define INPUT(text) (text), sizeof(text) - 1
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Whole, byte by byte and at every size between: the same must come out. */
static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t step = 0; step < rows[i].n; step++) {
			struct buf got = BUF_INIT(1 << 20);

			response_dump_all(&got, "A", bytes_from(rows[i].input, rows[i].n), step);
			if (strcmp(buf_str(&got), rows[i].want) != 0)
				print_error("%s, in pieces of %zu\n", rows[i].name, step);
			assert_string_equal(buf_str(&got), rows[i].want);
			buf_release(&got);
		}
}

static const struct row statuses[] = {
	{ "greeting with capabilities",
	  INPUT("* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN] ready.\r\n"),
	  "OK code name=<CAPABILITY> args=<IMAP4rev1 LITERAL+ AUTH=PLAIN> "
	  "text=<ready.>\n" },
	{ "PREAUTH and BYE",
	  INPUT("* PREAUTH welcome\r\n"
		"* BYE see you\r\n"
		"* BYE see you\r\n"),
	  "PREAUTH text=<welcome>\n"
	  "BYE text=<see you>\n"
	  "BYE text=<see you>\n" },
	{ "conditions in any case",
	  INPUT("* ok hi\r\n"
		"A1 no\r\n"
		"A2 Bad x\r\n"),
	  "OK text=<hi>\n"
	  "NO tag=<A1>\n"
	  "BAD tag=<A2> text=<x>\n" },
	{ "P7: no text, not even a blank",
	  INPUT("* OK\r\n"
		"A1 OK\r\n"
		"A2 NO \r\n"
		"* NO\r\n"),
	  "OK\n"
	  "OK tag=<A1>\n"
	  "NO tag=<A2>\n"
	  "NO\n" },
	{ "P7: a code without OK in front",
	  INPUT("* [COPYUID 38505 304,319:320 3956:3958] done\r\n"),
	  "OK malformed code name=<COPYUID> args=<38505 304,319:320 3956:3958> "
	  "number=38505 source=304,319:320 target=3956:3958 text=<done>\n" },
	{ "P7: empty sets in COPYUID",
	  INPUT("A1 OK [COPYUID 1  ] x\r\n"),
	  "OK tag=<A1> code name=<COPYUID> args=<1> number=1 source= target= "
	  "text=<x>\n" },
	{ "P7: unknown codes stay raw, quoted ] does not end one",
	  INPUT("* OK [X-FOO \"a]b\" (c ]d)] text\r\n"),
	  "OK unknown-code name=<X-FOO> args=<\"a]b\" (c ]d)> text=<text>\n" },
	{ "P7: a stray quote or parenthesis does not hide the end",
	  INPUT("* OK [X don't \"x] text\r\n"
		"* OK [X (y] text\r\n"),
	  "OK unknown-code name=<X> args=<don't \"x> text=<text>\n"
	  "OK unknown-code name=<X> args=<(y> text=<text>\n" },
	{ "a bracket without end is text",
	  INPUT("* OK [ALERT no end\r\n"
		"* OK []x\r\n"),
	  "OK text=<[ALERT no end>\n"
	  "OK text=<x>\n" },
	{ "text that looks like a literal is text",
	  INPUT("* OK hello {5}\r\n"
		"A1 OK {3}\r\n"),
	  "OK text=<hello {5}>\n"
	  "OK tag=<A1> text=<{3}>\n" },
	{ "P1: a literal inside a code",
	  INPUT("* NO [BADCHARSET ({5}\r\n"
		"UTF-8 \"x\")] no\r\n"),
	  "NO code name=<BADCHARSET> args=<(\"UTF-8\" \"x\")> text=<no>\n" },
	{ "text is kept as sent, 8 bit and quotes too",
	  INPUT("* OK \"un\303\251 \\ (x\r\n"),
	  "OK text=<\"un\303\251 \\\\ (x>\n" },
	{ "S2: tagged lines of somebody else",
	  INPUT("B1 OK done\r\n"
		"A1 OK done\r\n"),
	  "BADLINE text=<B1 OK done>\n"
	  "OK tag=<A1> text=<done>\n" },
};

static const struct row codes[] = {
	{ "state of a mailbox",
	  INPUT("* OK [UIDVALIDITY 3857529045] x\r\n"
		"* OK [UIDNEXT 4392] x\r\n"
		"* OK [UNSEEN 17] x\r\n"
		"* OK [HIGHESTMODSEQ 715194045007] x\r\n"
		"* OK [NOMODSEQ] x\r\n"
		"* OK [CLOSED] x\r\n"
		"* OK [MAILBOXID (F2212ea87-6097-4256-9d51-71338625)] x\r\n"
		"A1 OK [READ-ONLY] x\r\n"
		"A2 OK [READ-WRITE] x\r\n"),
	  "OK code name=<UIDVALIDITY> args=<3857529045> number=3857529045 "
	  "text=<x>\n"
	  "OK code name=<UIDNEXT> args=<4392> number=4392 text=<x>\n"
	  "OK code name=<UNSEEN> args=<17> number=17 text=<x>\n"
	  "OK code name=<HIGHESTMODSEQ> args=<715194045007> number=715194045007 "
	  "text=<x>\n"
	  "OK code name=<NOMODSEQ> text=<x>\n"
	  "OK code name=<CLOSED> text=<x>\n"
	  "OK code name=<MAILBOXID> args=<F2212ea87-6097-4256-9d51-71338625> "
	  "text=<x>\n"
	  "OK tag=<A1> code name=<READ-ONLY> text=<x>\n"
	  "OK tag=<A2> code name=<READ-WRITE> text=<x>\n" },
	{ "P6: zero is a number",
	  INPUT("* OK [UIDVALIDITY 0] x\r\n"
		"* OK [UIDNEXT 0] x\r\n"),
	  "OK code name=<UIDVALIDITY> args=<0> text=<x>\n"
	  "OK code name=<UIDNEXT> args=<0> text=<x>\n" },
	{ "bad arguments make a code unknown",
	  INPUT("* OK [UIDNEXT -1] x\r\n"
		"* OK [UIDNEXT] x\r\n"
		"* OK [HIGHESTMODSEQ 99999999999999999999] x\r\n"
		"A1 OK [COPYUID 1 1:3 x] y\r\n"
		"A2 OK [APPENDUID 1] y\r\n"
		"A3 OK [COPYUID 1 1 0] y\r\n"),
	  "OK unknown-code name=<UIDNEXT> args=<-1> text=<x>\n"
	  "OK unknown-code name=<UIDNEXT> text=<x>\n"
	  "OK unknown-code name=<HIGHESTMODSEQ> args=<99999999999999999999> "
	  "text=<x>\n"
	  "OK tag=<A1> unknown-code name=<COPYUID> args=<1 1:3 x> text=<y>\n"
	  "OK tag=<A2> code name=<APPENDUID> args=<1> number=1 target= text=<y>\n"
	  "OK tag=<A3> unknown-code name=<COPYUID> args=<1 1 0> text=<y>\n" },
	{ "P5: PERMANENTFLAGS with brackets",
	  INPUT("* OK [PERMANENTFLAGS (\\Answered \\Seen $MDNSent foo]bar [Gmail]/x "
		"\\*)] x\r\n"
		"* OK [PERMANENTFLAGS ()] x\r\n"),
	  "OK code name=<PERMANENTFLAGS> args=<(\\\\Answered \\\\Seen $MDNSent "
	  "foo]bar [Gmail]/x \\\\*)> flags=(\\\\Seen \\\\Answered $MDNSent "
	  "[Gmail]/x foo]bar) any-keyword text=<x>\n"
	  "OK code name=<PERMANENTFLAGS> args=<()> flags=() text=<x>\n" },
	{ "APPENDUID and COPYUID keep order",
	  INPUT("A1 OK [APPENDUID 38505 3955] x\r\n"
		"A2 OK [APPENDUID 38505 3955:3957,12] x\r\n"
		"A3 OK [COPYUID 38505 304,319:320,2 3956:3958,1] x\r\n"),
	  "OK tag=<A1> code name=<APPENDUID> args=<38505 3955> number=38505 "
	  "target=3955 text=<x>\n"
	  "OK tag=<A2> code name=<APPENDUID> args=<38505 3955:3957,12> "
	  "number=38505 target=3955:3957,12 text=<x>\n"
	  "OK tag=<A3> code name=<COPYUID> args=<38505 304,319:320,2 3956:3958,1> "
	  "number=38505 source=304,319:320,2 target=3956:3958,1 text=<x>\n" },
	{ "MODIFIED",
	  INPUT("A1 OK [MODIFIED 7,9,8] x\r\n"),
	  "OK tag=<A1> code name=<MODIFIED> args=<7,9,8> set=7:9 text=<x>\n" },
	{ "MESSAGELIMIT",
	  INPUT("A1 OK [MESSAGELIMIT 1000 23221] x\r\n"
		"A2 NO [MESSAGELIMIT 1000] x\r\n"),
	  "OK tag=<A1> code name=<MESSAGELIMIT> args=<1000 23221> number=1000 "
	  "uid=23221 text=<x>\n"
	  "NO tag=<A2> code name=<MESSAGELIMIT> args=<1000> number=1000 text=<x>\n" },
	{ "failures",
	  INPUT("A1 NO [AUTHENTICATIONFAILED] x\r\n"
		"A2 NO [UNAVAILABLE] x\r\n"
		"A3 NO [trycreate] x\r\n"
		"A4 NO [OVERQUOTA] x\r\n"
		"* OK [INPROGRESS (\"A5\" 454 1000)] x\r\n"
		"* OK [INPROGRESS] x\r\n"),
	  "NO tag=<A1> code name=<AUTHENTICATIONFAILED> text=<x>\n"
	  "NO tag=<A2> code name=<UNAVAILABLE> text=<x>\n"
	  "NO tag=<A3> code name=<trycreate> text=<x>\n"
	  "NO tag=<A4> code name=<OVERQUOTA> text=<x>\n"
	  "OK code name=<INPROGRESS> args=<(\"A5\" 454 1000)> text=<x>\n"
	  "OK code name=<INPROGRESS> text=<x>\n" },
	{ "blanks inside the brackets",
	  INPUT("* OK [ UIDNEXT  5 ]  text  \r\n"),
	  "OK code name=<UIDNEXT> args=<5> number=5 text=<text>\n" },
};

static const struct row continuations[] = {
	{ "P15: with text, without, without the blank",
	  INPUT("+ go ahead\r\n"
		"+\r\n"
		"+ \r\n"
		"+dGVzdA==\r\n"),
	  "CONTINUE text=<go ahead>\n"
	  "CONTINUE\n"
	  "CONTINUE\n"
	  "CONTINUE text=<dGVzdA==>\n" },
	{ "a challenge that looks like a code or literal",
	  INPUT("+ [x {3}\r\n"
		"* OK x\r\n"),
	  "CONTINUE text=<[x {3}>\n"
	  "OK text=<x>\n" },
};

static const struct row words[] = {
	{ "CAPABILITY and ENABLED",
	  INPUT("* CAPABILITY IMAP4rev1 LITERAL + AUTH=PLAIN \r\n"
		"* ENABLED\r\n"
		"* ENABLED CONDSTORE QRESYNC\r\n"),
	  "CAPABILITY text=<IMAP4rev1 LITERAL + AUTH=PLAIN>\n"
	  "ENABLED\n"
	  "ENABLED text=<CONDSTORE QRESYNC>\n" },
};

static const struct row lists[] = {
	{ "plain",
	  INPUT("* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Items\"\r\n"
		"* LIST (\\Noselect) \".\" INBOX.a\r\n"
		"* LSUB () NIL foo\r\n"
		"* LIST () \"/\" \"\"\r\n"),
	  "LIST name=<Sent Items> attributes=8040 delimiter=/\n"
	  "LIST name=<INBOX.a> attributes=1 delimiter=.\n"
	  "LSUB name=<foo> attributes=80\n"
	  "LIST name=<> attributes=0 delimiter=/\n" },
	{ "P12: delimiters",
	  INPUT("* LIST () \"\\\\\" a\\b\r\n"
		"* LIST () \"\\\" \"a b\"\r\n"
		"* LIST () nil a\r\n"
		"* LIST () \"\" a\r\n"
		"* LIST () / a\r\n"),
	  "LIST name=<a\\\\b> attributes=0 delimiter=\\\n"
	  "LIST name=<a b> attributes=0 delimiter=\\\n"
	  "LIST name=<a> attributes=0\n"
	  "LIST name=<a> attributes=0\n"
	  "LIST name=<a> attributes=0 delimiter=/\n" },
	{ "P12: attributes in any case, unknown, implied",
	  INPUT("* LIST (\\HASNOCHILDREN \\X-Odd \\nonexistent) \"/\" a\r\n"
		"* LIST (\\NoInferiors \\Spam) \"/\" b\r\n"
		"* LSUB (\\NoSelect) \"/\" c\r\n"),
	  "LIST name=<a> attributes=43 delimiter=/\n"
	  "LIST name=<b> attributes=4044 delimiter=/\n"
	  "LSUB name=<c> attributes=1 delimiter=/\n" },
	{ "P1: the name as a literal",
	  INPUT("* LIST () \"/\" {7}\r\n"
		"a\"b\\c\r\n"
		"\r\n"
		"* LIST () \"/\" {0}\r\n"
		"\r\n"
		"* LIST () {1}\r\n"
		"/ {3+}\r\n"
		"foo (\"OLDNAME\" ({3}\r\n"
		"x)y))\r\n"),
	  "LIST name=<a\"b\\\\c\\x0D\\x0A> attributes=0 delimiter=/\n"
	  "LIST name=<> attributes=0 delimiter=/\n"
	  "LIST name=<foo> attributes=0 delimiter=/ old=<x)y>\n" },
	{ "P3: NIL and \"NIL\" are mailboxes",
	  INPUT("* LIST () \"/\" NIL\r\n"
		"* LIST () \"/\" \"NIL\"\r\n"),
	  "LIST name=<NIL> attributes=0 delimiter=/\n"
	  "LIST name=<NIL> attributes=0 delimiter=/\n" },
	{ "P4: inner quotes that were not escaped",
	  INPUT("* LIST () \"/\" \"say \"hi!\", you\"\r\n"
		"* LIST () \"/\" \"esc \\\"x\\\" \\\\\"\r\n"),
	  "LIST name=<say \"hi!\", you> attributes=0 delimiter=/\n"
	  "LIST name=<esc \"x\" \\\\> attributes=0 delimiter=/\n" },
	{ "P12: extended items",
	  INPUT("* LIST (\\NonExistent) \"/\" Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
		"* LIST () \"/\" new (\"OLDNAME\" (\"old one\") TAG (x (y)) \"Z\" 5)\r\n"),
	  "LIST name=<Foo> attributes=3 delimiter=/ child=<\"SUBSCRIBED\">\n"
	  "LIST name=<new> attributes=0 delimiter=/ old=<old one>\n" },
	{ "P18: names that were not quoted",
	  INPUT("* LIST () \"/\" Foo Bar\r\n"
		"* LIST () \"/\" Foo (Bar)\r\n"
		"* LIST () \"/\" Foo\001Bar \r\n"
		"* LIST () \"/\" \"Foo\" Bar\r\n"
		"* LIST () \"/\" Foo(bar\r\n"),
	  "LIST name=<Foo Bar> attributes=0 delimiter=/ dubious\n"
	  "LIST name=<Foo (Bar)> attributes=0 delimiter=/ dubious\n"
	  "LIST name=<Foo\\x01Bar> attributes=0 delimiter=/ dubious\n"
	  "LIST name=<\"Foo\" Bar> attributes=0 delimiter=/ dubious\n"
	  "LIST name=<Foo(bar> attributes=0 delimiter=/ dubious\n" },
	{ "8 bit and modified UTF-7 stay as they are",
	  INPUT("* LIST () \"/\" \"Entw\303\274rfe\"\r\n"
		"* LIST () \"/\" &ZeVnLIqe-\r\n"),
	  "LIST name=<Entw\303\274rfe> attributes=0 delimiter=/\n"
	  "LIST name=<&ZeVnLIqe-> attributes=0 delimiter=/\n" },
	{ "not a LIST",
	  INPUT("* LIST\r\n"
		"* LIST ()\r\n"
		"* LIST () \"/\"\r\n"
		"* LIST () \"ab\" x\r\n"
		"* LIST (() \"/\" x\r\n"
		"* LIST x \"/\" y\r\n"),
	  "BADLINE text=<* LIST>\n"
	  "BADLINE text=<* LIST ()>\n"
	  "BADLINE text=<* LIST () \"/\">\n"
	  "BADLINE text=<* LIST () \"ab\" x>\n"
	  "BADLINE text=<* LIST (() \"/\" x>\n"
	  "BADLINE text=<* LIST x \"/\" y>\n" },
};

static const struct row mailbox_states[] = {
	{ "STATUS",
	  INPUT("* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292 UIDVALIDITY 1 UNSEEN 2 "
		"RECENT 3 HIGHESTMODSEQ 7011231777 SIZE 99999999999 DELETED 4 "
		"APPENDLIMIT 5 MAILBOXID (F22))\r\n"
		"* STATUS \"a b\" ()\r\n"
		"* STATUS {3}\r\n"
		"a(b (MESSAGES 1)\r\n"),
	  "MAILBOX name=<blurdybloop> messages=231 recent=3 uidnext=44292 "
	  "uidvalidity=1 unseen=2 modseq=7011231777 size=99999999999 deleted=4 "
	  "appendlimit=5 id=<F22>\n"
	  "MAILBOX name=<a b>\n"
	  "MAILBOX name=<a(b> messages=1\n" },
	{ "P12: NIL, unknown items, duplicates",
	  INPUT("* STATUS x (APPENDLIMIT NIL X-FOO (a (b)) X-BAR \"y\" MESSAGES 1 "
		"messages 2 UNSEEN NIL)\r\n"),
	  "MAILBOX name=<x> messages=2 appendlimit=18446744073709551615\n" },
	{ "P6: numbers that are none",
	  INPUT("* STATUS x (MESSAGES -1 SIZE 9.3736e+06 UIDNEXT 4294967296 UNSEEN 5)\r\n"
		"* STATUS x (MESSAGES)\r\n"),
	  "MAILBOX name=<x> unseen=5\n"
	  "MAILBOX name=<x>\n" },
	{ "P18: name with blanks",
	  INPUT("* STATUS Foo Bar (MESSAGES 3)\r\n"
		"* STATUS \"Foo\" \"Bar\" (MESSAGES 3)\r\n"
		"* STATUS Foo(Bar) (MESSAGES 3)\r\n"),
	  "MAILBOX name=<Foo Bar> messages=3\n"
	  "MAILBOX name=<\"Foo\" \"Bar\"> messages=3\n"
	  "MAILBOX name=<Foo(Bar)> messages=3\n" },
	{ "not a STATUS",
	  INPUT("* STATUS\r\n"
		"* STATUS x\r\n"
		"* STATUS (MESSAGES 1)\r\n"
		"* STATUS x (MESSAGES 1\r\n"
		"* STATUS x (MESSAGES 1) y\r\n"),
	  "BADLINE text=<* STATUS>\n"
	  "BADLINE text=<* STATUS x>\n"
	  "BADLINE text=<* STATUS (MESSAGES 1)>\n"
	  "BADLINE text=<* STATUS x (MESSAGES 1>\n"
	  "BADLINE text=<* STATUS x (MESSAGES 1) y>\n" },
	{ "FLAGS, counts",
	  INPUT("* FLAGS (\\Answered \\Recent $x [a]b \"c d\")\r\n"
		"* 172 EXISTS\r\n"
		"* 1 RECENT\r\n"
		"* 44 EXPUNGE\r\n"
		"* 0 EXISTS\r\n"
		"* 5 exists junk\r\n"),
	  "FLAGS flags=(\\\\Answered $x [a]b \"c d\")\n"
	  "EXISTS 172\n"
	  "RECENT 1\n"
	  "EXPUNGE 44\n"
	  "EXISTS 0\n"
	  "EXISTS 5\n" },
	{ "counts out of range",
	  INPUT("* 0 EXPUNGE\r\n"
		"* 4294967296 EXISTS\r\n"
		"* 12x EXISTS\r\n"
		"* 12\r\n"),
	  "BADLINE text=<* 0 EXPUNGE>\n"
	  "BADLINE text=<* 4294967296 EXISTS>\n"
	  "BADLINE text=<* 12x EXISTS>\n"
	  "BADLINE text=<* 12>\n" },
};

static const struct row sets[] = {
	{ "P11: SEARCH",
	  INPUT("* SEARCH 2 84 882 3\r\n"
		"* SEARCH\r\n"
		"* SEARCH \r\n"
		"* SEARCH 2 5 6 (MODSEQ 917162500)\r\n"
		"* SEARCH 0 7 1:3\r\n"),
	  "SEARCH set=2:3,84,882\n"
	  "SEARCH set=\n"
	  "SEARCH set=\n"
	  "SEARCH set=2,5:6 modseq=917162500\n"
	  "SEARCH set=1:3,7\n" },
	{ "not a SEARCH",
	  INPUT("* SEARCH 1 x 2\r\n"
		"* SEARCH 1 4294967296\r\n"
		"* SEARCH 1 *\r\n"
		"* SEARCH 1 (\r\n"
		"A1 OK x\r\n"),
	  "BADLINE text=<* SEARCH 1 x 2>\n"
	  "BADLINE text=<* SEARCH 1 4294967296>\n"
	  "BADLINE text=<* SEARCH 1 *>\n"
	  "BADLINE text=<* SEARCH 1 (>\n"
	  "OK tag=<A1> text=<x>\n" },
	{ "P11: ESEARCH in any order",
	  INPUT("* ESEARCH (TAG \"A282\") MIN 2 COUNT 3\r\n"
		"* ESEARCH (TAG A283) UID ALL 2,10:11\r\n"
		"* ESEARCH UID (TAG \"A284\") ALL 1:17,21 MODSEQ 9 MAX 21\r\n"
		"* ESEARCH\r\n"
		"* ESEARCH (TAG \"x\") UID\r\n"),
	  "ESEARCH tag=<A282> count=3 min=2\n"
	  "ESEARCH tag=<A283> uid set=2,10:11\n"
	  "ESEARCH tag=<A284> uid set=1:17,21 max=21 modseq=9\n"
	  "ESEARCH\n"
	  "ESEARCH tag=<x> uid\n" },
	{ "PARTIAL",
	  INPUT("* ESEARCH (TAG \"A1\") UID PARTIAL (-1:-100 200:250,252:300)\r\n"
		"* ESEARCH (TAG \"A2\") UID PARTIAL (23500:24000 NIL)\r\n"
		"* ESEARCH (TAG \"A3\") PARTIAL (1:2 5) COUNT 1\r\n"),
	  "ESEARCH tag=<A1> uid set=200:250,252:300 partial=<-1:-100>\n"
	  "ESEARCH tag=<A2> uid set= partial=<23500:24000>\n"
	  "ESEARCH tag=<A3> set=5 count=1 partial=<1:2>\n" },
	{ "ESEARCH items nobody knows",
	  INPUT("* ESEARCH (TAG \"A1\" MAILBOX \"x\" UIDVALIDITY 1) X-FOO (a (b \"c)\")) "
		"X-BAR 9 COUNT 2\r\n"),
	  "ESEARCH tag=<A1> count=2\n" },
	{ "not an ESEARCH",
	  INPUT("* ESEARCH (TAG \"A1\") ALL x\r\n"
		"* ESEARCH (TAG \"A1\"\r\n"
		"* ESEARCH ALL 1, COUNT 2\r\n"
		"* ESEARCH )\r\n"),
	  "BADLINE text=<* ESEARCH (TAG \"A1\") ALL x>\n"
	  "BADLINE text=<* ESEARCH (TAG \"A1\">\n"
	  "BADLINE text=<* ESEARCH ALL 1, COUNT 2>\n"
	  "BADLINE text=<* ESEARCH )>\n" },
	{ "P9: VANISHED",
	  INPUT("* VANISHED 405,407,410,425\r\n"
		"* VANISHED (EARLIER) 41,43:116,118,120:211,214:540\r\n"
		"* VANISHED\r\n"
		"* VANISHED (EARLIER) 1:4294967295\r\n"
		"* VANISHED 1, 2\r\n"),
	  "VANISHED set=405,407,410,425\n"
	  "VANISHED EARLIER set=41,43:116,118,120:211,214:540\n"
	  "VANISHED set=\n"
	  "VANISHED EARLIER set=1:4294967295\n"
	  "VANISHED set=1:2\n" },
	{ "not VANISHED",
	  INPUT("* VANISHED (LATER) 1\r\n"
		"* VANISHED 5:*\r\n"
		"* VANISHED $\r\n"),
	  "BADLINE text=<* VANISHED (LATER) 1>\n"
	  "BADLINE text=<* VANISHED 5:*>\n"
	  "BADLINE text=<* VANISHED $>\n" },
};

static const struct row fetches[] = {
	{ "attributes",
	  INPUT("* 12 FETCH (FLAGS (\\Seen $Forwarded foo[x]) INTERNALDATE \"17-Jul-1996 "
		"02:44:25 -0700\" RFC822.SIZE 4286 UID 9 MODSEQ (12121231000) EMAILID "
		"(M6d99) THREADID (T64) X-GM-MSGID 1278455344230334865 X-GM-LABELS "
		"(\\Inbox \"a b\" {1}\r\n"
		")))\r\n"),
	  "FETCH number=12 uid=9 flags=(\\\\Seen $Forwarded foo[x]) "
	  "date=<17-Jul-1996 02:44:25 -0700> size=4286 modseq=12121231000 "
	  "emailid=<M6d99> threadid=<T64> gm-msgid=1278455344230334865 "
	  "label=<\\\\Inbox> label=<a b> label=<)>\n" },
	{ "nothing, and flags only",
	  INPUT("* 1 FETCH ()\r\n"
		"* 1 FETCH (FLAGS ())\r\n"
		"* 1 FETCH (FLAGS (\\Recent))\r\n"
		"* 1 fetch (flags (\\sEEN))\r\n"),
	  "FETCH number=1\n"
	  "FETCH number=1 flags=()\n"
	  "FETCH number=1 flags=()\n"
	  "FETCH number=1 flags=(\\\\Seen)\n" },
	{ "P8: UID after the body",
	  INPUT("* 23 FETCH (BODY[] {5}\r\n"
		"ab\r\n"
		"c UID 7 FLAGS (\\Deleted))\r\n"),
	  "BODY number=23 item=<BODY[]> section=<> whole bytes=5 [ab\\x0D\\x0Ac]\n"
	  "FETCH number=23 uid=7 flags=(\\\\Deleted) body\n" },
	{ "UIDFETCH",
	  INPUT("* 25900 UIDFETCH (FLAGS (\\Seen))\r\n"),
	  "FETCH number=0 uid=25900 flags=(\\\\Seen)\n" },
	{ "P1: a body as quoted string, empty literal, empty string, NIL",
	  INPUT("* 1 FETCH (UID 1 BODY[] \"a \\\"b\\\" c\")\r\n"
		"* 2 FETCH (UID 2 BODY[] {0}\r\n"
		")\r\n"
		"* 3 FETCH (UID 3 BODY[] \"\")\r\n"
		"* 4 FETCH (UID 4 BODY[] NIL)\r\n"
		"* 5 FETCH (BODY[] nil UID 5)\r\n"),
	  "BODY number=1 uid=1 item=<BODY[]> section=<> whole bytes=7 [a \"b\" c]\n"
	  "FETCH number=1 uid=1 body\n"
	  "BODY number=2 uid=2 item=<BODY[]> section=<> whole bytes=0 []\n"
	  "FETCH number=2 uid=2 body\n"
	  "BODY number=3 uid=3 item=<BODY[]> section=<> whole bytes=0 []\n"
	  "FETCH number=3 uid=3 body\n"
	  "BODY number=4 uid=4 item=<BODY[]> section=<> whole nil bytes=0 []\n"
	  "FETCH number=4 uid=4 body\n"
	  "BODY number=5 item=<BODY[]> section=<> whole nil bytes=0 []\n"
	  "FETCH number=5 uid=5 body\n" },
	{ "P2: {n} just before the end, literal8, {n+}",
	  INPUT("* 1 FETCH (BODY[] {1}\r\n"
		"\000)\r\n"
		"* 1 FETCH (BINARY[] ~{3}\r\n"
		"\000\r\n"
		" UID 4)\r\n"
		"* 1 FETCH (BODY[] {2+}\r\n"
		"hi)\r\n"),
	  "BODY number=1 item=<BODY[]> section=<> whole bytes=1 [\\x00]\n"
	  "FETCH number=1 body\n"
	  "BODY number=1 item=<BINARY[]> section=<> binary whole bytes=3 "
	  "[\\x00\\x0D\\x0A]\n"
	  "FETCH number=1 uid=4 body\n"
	  "BODY number=1 item=<BODY[]> section=<> whole bytes=2 [hi]\n"
	  "FETCH number=1 body\n" },
	{ "P5: sections",
	  INPUT("* 1 FETCH (BODY[HEADER.FIELDS (\"Date\" {2}\r\n"
		"To Cc)] {2}\r\n"
		"\r\n"
		")\r\n"
		"* 1 FETCH (BODY[]<0> {1}\r\n"
		"x)\r\n"
		"* 1 FETCH (BODY[1.2.MIME]<4096> {1}\r\n"
		"x)\r\n"
		"* 1 FETCH (BODY[HEADER.FIELDS (\"a]b\" \"c\\\"d\")] \"\")\r\n"
		"* 1 FETCH (BINARY[2]<5> \"x\" BINARY.SIZE[2] 1)\r\n"),
	  "BODY number=1 item=<BODY[HEADER.FIELDS (\"Date\" \"To\" Cc)]> "
	  "section=<HEADER.FIELDS (\"Date\" \"To\" Cc)> bytes=2 [\\x0D\\x0A]\n"
	  "FETCH number=1 body\n"
	  "BODY number=1 item=<BODY[]<0>> section=<> origin=0 bytes=1 [x]\n"
	  "FETCH number=1 body\n"
	  "BODY number=1 item=<BODY[1.2.MIME]<4096>> section=<1.2.MIME> "
	  "origin=4096 bytes=1 [x]\n"
	  "FETCH number=1 body\n"
	  "BODY number=1 item=<BODY[HEADER.FIELDS (\"a]b\" \"c\\\\\"d\")]> "
	  "section=<HEADER.FIELDS (\"a]b\" \"c\\\\\"d\")> bytes=0 []\n"
	  "FETCH number=1 body\n"
	  "BODY number=1 item=<BINARY[2]<5>> section=<2> binary origin=5 bytes=1 "
	  "[x]\n"
	  "FETCH number=1 body\n" },
	{ "several bodies, and items without blanks between",
	  INPUT("* 1 FETCH (BODY[HEADER] {2}\r\n"
		"ab BODY[TEXT]{3}\r\n"
		"cde UID 5)\r\n"
		"* 1 FETCH (RFC822 {1}\r\n"
		"a RFC822.HEADER {1}\r\n"
		"b RFC822.TEXT \"c\")\r\n"
		"* 1 FETCH (FLAGS(\\Seen)UID 3)\r\n"),
	  "BODY number=1 item=<BODY[HEADER]> section=<HEADER> bytes=2 [ab]\n"
	  "BODY number=1 item=<BODY[TEXT]> section=<TEXT> bytes=3 [cde]\n"
	  "FETCH number=1 uid=5 body\n"
	  "BODY number=1 item=<RFC822> whole bytes=1 [a]\n"
	  "BODY number=1 item=<RFC822.HEADER> bytes=1 [b]\n"
	  "BODY number=1 item=<RFC822.TEXT> bytes=1 [c]\n"
	  "FETCH number=1 body\n"
	  "FETCH number=1 uid=3 flags=(\\\\Seen)\n" },
	{ "P1: a literal for any string of an ENVELOPE",
	  INPUT("* 1 FETCH (ENVELOPE ({3}\r\n"
		"Wed \"a \\\\\\\"b\" (({3}\r\n"
		"\"T\" NIL \"x\" y.example)(\"U\" \"@r\" \"u\" \"v\")) NIL () "
		"((NIL NIL \"team\" NIL)(\"\" NIL {1}\r\n"
		"c NIL)(NIL NIL NIL NIL)) NIL NIL \"NIL\" {0}\r\n"
		") UID 6)\r\n"),
	  "FETCH number=1 uid=6 envelope=<\"Wed\" \"a \\\\\\\\\\\\\"b\" ((\"\\\\\"T\\\\\"\" NIL "
	  "\"x\" y.example) (\"U\" \"@r\" \"u\" \"v\")) NIL () ((NIL NIL \"team\" NIL) (\"\" NIL "
	  "\"c\" NIL) (NIL NIL NIL NIL)) NIL NIL \"NIL\" \"\"> sent=<Wed> subject=<a \\\\\"b> "
	  "from( name=<\"T\"> mailbox=<x> host=<y.example>) "
	  "from( name=<U> route=<@r> mailbox=<u> host=<v>) "
	  "to( mailbox=<team>) to( name=<> mailbox=<c>) to() in-reply-to=<NIL> "
	  "message-id=<>\n" },
	{ "BODYSTRUCTURE: the numbers of parts",
	  INPUT("* 1 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"X\") NIL NIL \"7BIT\" "
		"30 2))\r\n"
		"* 1 FETCH (BODYSTRUCTURE ((\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1 NIL NIL)"
		"((\"text\" \"html\" NIL NIL NIL \"8bit\" 2 1)(\"image\" \"png\" (\"name\" {3}\r\n"
		"a)b) \"<i@d>\" NIL \"base64\" 99 NIL (\"attachment\" (\"filename\" \"x\")))"
		" \"related\" (\"boundary\" \"q\"))(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 50 "
		"(NIL \"in\" NIL) ((\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1)(\"message\" \"rfc822\" "
		"NIL NIL NIL \"7bit\" 9 () (\"a\" \"b\" NIL NIL NIL \"7bit\" 4) 5) \"mixed\") 7 NIL "
		"(\"inline\" NIL)) \"mixed\"))\r\n"),
	  "FETCH number=1 structure=<\"TEXT\" \"PLAIN\" (\"CHARSET\" \"X\") NIL NIL \"7BIT\" 30 2> "
	  "part 1 type=<TEXT> subtype=<PLAIN> encoding=<7BIT> bytes=30 params=2\n"
	  "FETCH number=1 structure=<(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1 NIL NIL) "
	  "((\"text\" \"html\" NIL NIL NIL \"8bit\" 2 1) (\"image\" \"png\" (\"name\" \"a)b\") "
	  "\"<i@d>\" NIL \"base64\" 99 NIL (\"attachment\" (\"filename\" \"x\"))) \"related\" "
	  "(\"boundary\" \"q\")) (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 50 (NIL \"in\" NIL) "
	  "((\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1) (\"message\" \"rfc822\" NIL NIL NIL "
	  "\"7bit\" 9 () (\"a\" \"b\" NIL NIL NIL \"7bit\" 4) 5) \"mixed\") 7 NIL (\"inline\" NIL)) "
	  "\"mixed\"> "
	  "part  type=<multipart> subtype=<mixed> bytes=0 params=0 "
	  "part 1 type=<text> subtype=<plain> encoding=<7bit> bytes=1 params=0 "
	  "part 2 type=<multipart> subtype=<related> bytes=0 params=2 "
	  "part 2.1 type=<text> subtype=<html> encoding=<8bit> bytes=2 params=0 "
	  "part 2.2 type=<image> subtype=<png> encoding=<base64> bytes=99 params=2 "
	  "disposition=<attachment> "
	  "part 3 type=<message> subtype=<rfc822> encoding=<7bit> bytes=50 params=0 "
	  "disposition=<inline> "
	  "part 3 type=<multipart> subtype=<mixed> bytes=0 params=0 "
	  "part 3.1 type=<text> subtype=<plain> encoding=<7bit> bytes=3 params=0 "
	  "part 3.2 type=<message> subtype=<rfc822> encoding=<7bit> bytes=9 params=0 "
	  "part 3.2.1 type=<a> subtype=<b> encoding=<7bit> bytes=4 params=0\n" },
	{ "what is no ENVELOPE and no BODYSTRUCTURE",
	  INPUT("* 1 FETCH (ENVELOPE NIL BODYSTRUCTURE \"x\" X-GM-LABELS {1}\r\n"
		"a UID 6)\r\n"
		"* 1 FETCH (ENVELOPE () BODYSTRUCTURE () X-GM-LABELS () UID 6)\r\n"
		"* 1 FETCH (ENVELOPE ((x) (y ((z))) ((a b))) UID 6)\r\n"
		"* 1 FETCH (BODYSTRUCTURE ((a b c d e f -1)(a)) X-GM-LABELS (a (b)) UID 6)\r\n"
		"* 1 FETCH (BODYSTRUCTURE ((\"a\" \"b\" NIL NIL NIL \"c\" 1)) UID 6)\r\n"
		"* 1 FETCH (ENVELOPE (\"a\") ENVELOPE (\"b\") UID 6)\r\n"),
	  "FETCH number=1 uid=6\n"
	  "FETCH number=1 uid=6 envelope=<> structure=<> unreadable\n"
	  "FETCH number=1 uid=6 envelope=<(x) (y ((z))) ((a b))> from( name=<a> route=<b>)\n"
	  "FETCH number=1 uid=6 label=<a> more labels structure=<(a b c d e f -1) (a)> unreadable\n"
	  "FETCH number=1 uid=6 structure=<(\"a\" \"b\" NIL NIL NIL \"c\" 1)> unreadable\n"
	  "FETCH number=1 uid=6 envelope=<\"b\"> sent=<b>\n" },
	{ "a broken ENVELOPE fails the line",
	  INPUT("* 1 FETCH (ENVELOPE (\"a\" {1}\r\n"
		"bc NIL) UID 6)\r\n"
		"* 1 FETCH (ENVELOPE (\"a\" {1}\r\n"
		"b\r\n"
		"* 1 FETCH (BODYSTRUCTURE (\"a\"\r\n"
		"* 2 EXISTS\r\n"),
	  "BADLINE text=<* 1 FETCH (ENVELOPE (\"a\" {1}\\x0D\\x0Ac NIL) UID 6)>\n"
	  "BADLINE text=<* 1 FETCH (ENVELOPE (\"a\" {1}>\n"
	  "BADLINE text=<* 1 FETCH (BODYSTRUCTURE (\"a\">\n"
	  "EXISTS 2\n" },
	{ "SAVEDATE, PREVIEW and ids: NIL, empty, as literals",
	  INPUT("* 1 FETCH (SAVEDATE NIL PREVIEW NIL THREADID NIL EMAILID NIL)\r\n"
		"* 1 FETCH (SAVEDATE \"01-Jan-2015 00:00:00 +0000\" PREVIEW \"\" THREADID (T1))\r\n"
		"* 1 FETCH (SAVEDATE {26}\r\n"
		"01-Jan-2015 00:00:01 +0000 PREVIEW {6}\r\n"
		"\"a\"\r\n"
		"( THREADID ({1}\r\n"
		"T) EMAILID ({0}\r\n"
		") X-GM-THRID {2}\r\n"
		"12)\r\n"
		"* 1 FETCH (PREVIEW (FUZZY \"x\") SAVEDATE x X-GM-MSGID -1 X-GM-THRID NIL)\r\n"
		"* 1 FETCH (PREVIEW ~{2}\r\n"
		"\000\377 UID 6)\r\n"),
	  "FETCH number=1 threadid=NIL savedate=<NIL> unknown-savedate preview=NIL\n"
	  "FETCH number=1 threadid=<T1> savedate=<01-Jan-2015 00:00:00 +0000> preview=<>\n"
	  "FETCH number=1 emailid=<> threadid=<T> savedate=<01-Jan-2015 00:00:01 +0000> "
	  "preview=<\"a\"\\x0D\\x0A(> gm-thrid=12\n"
	  "FETCH number=1 savedate=<x> unknown-savedate preview=<x>\n"
	  "FETCH number=1 uid=6 preview=<\\x00\\xFF>\n" },
	{ "what nobody asked for is passed over",
	  INPUT("* 1 FETCH (BODY (\"A\" ((\"b\" {3}\r\n"
		"a)())) X-NEW (\"Wed\" {3}\r\n"
		"a)( NIL) X-FOO {2}\r\n"
		"() UID 6)\r\n"),
	  "FETCH number=1 uid=6\n" },
	{ "P4: quotes inside an envelope",
	  INPUT("* 1 FETCH (ENVELOPE (\"say \"hi!\", now\" NIL) UID 6)\r\n"
		"* 1 FETCH (ENVELOPE (\"say \"hi!\" now\" NIL) UID 6)\r\n"),
	  "FETCH number=1 uid=6 envelope=<\"say \\\\\"hi!\\\\\", now\" NIL> sent=<say \"hi!\", now>\n"
	  "FETCH number=1 uid=6 envelope=<\"say \\\\\"hi!\" now\" NIL> sent=<say \"hi!> "
	  "subject=<now\">\n" },
	{ "P6: values that make no sense count as not sent",
	  INPUT("* 1 FETCH (RFC822.SIZE -1 UID 3)\r\n"
		"* 1 FETCH (UID 0 RFC822.SIZE 9.3736e+06)\r\n"
		"* 1 FETCH (UID 4294967296 MODSEQ (-1) RFC822.SIZE "
		"18446744073709551615)\r\n"
		"* 1 FETCH (UID NIL MODSEQ 5 EMAILID NIL FLAGS NIL)\r\n"),
	  "FETCH number=1 uid=3\n"
	  "FETCH number=1\n"
	  "FETCH number=1 size=18446744073709551615\n"
	  "FETCH number=1 modseq=5\n" },
	{ "P20: dates",
	  INPUT("* 1 FETCH (INTERNALDATE \" 7-Feb-1994 21:52:25 -0800\")\r\n"
		"* 1 FETCH (INTERNALDATE NIL)\r\n"
		"* 1 FETCH (INTERNALDATE \"garbage\")\r\n"
		"* 1 FETCH (INTERNALDATE {26}\r\n"
		"07-Feb-1994 21:52:25 -0000)\r\n"),
	  "FETCH number=1 date=< 7-Feb-1994 21:52:25 -0800>\n"
	  "FETCH number=1 date=<NIL> unknown-date\n"
	  "FETCH number=1 date=<garbage> unknown-date\n"
	  "FETCH number=1 date=<07-Feb-1994 21:52:25 -0000>\n" },
	{ "P9: message 0",
	  INPUT("* 0 FETCH (UID 5)\r\n"),
	  "FETCH number=0 uid=5\n" },
	{ "P19: no value at all",
	  INPUT("* 1 FETCH (UID 5 BODY[])\r\n"
		"* 1 FETCH (UID 5 FLAGS)\r\n"),
	  "BODY number=1 uid=5 item=<BODY[]> section=<> whole nil bytes=0 []\n"
	  "FETCH number=1 uid=5 body\n"
	  "BADLINE text=<* 1 FETCH (UID 5 FLAGS)>\n" },
	{ "P18: blanks and tabs everywhere",
	  INPUT("* \t 1  FETCH  ( UID\t5  FLAGS ( \\Seen  x ) ) \r\n"),
	  "FETCH number=1 uid=5 flags=(\\\\Seen x)\n" },
	{ "a broken FETCH without a body is skipped",
	  INPUT("* 1 FETCH (UID 5 FLAGS (\\Seen)\r\n"
		"* 1 FETCH UID 5\r\n"
		"* 1 FETCH (UID 5)) x\r\n"
		"* 1 FETCH (FLAGS (a (b)) UID {4}\r\n"
		"abcd)\r\n"
		"* 1 FETCH (UID \"unterminated\r\n"
		"* 1 FETCH (\"UID\" 5)\r\n"
		"* 1 FETCH (BODY[] foo UID 3)\r\n"
		"* 1 FETCH (BODY[HEADER.FIELDS (\r\n"
		"* 1 FETCH (X {a}\r\n"
		"* 2 EXISTS\r\n"),
	  "BADLINE text=<* 1 FETCH (UID 5 FLAGS (\\\\Seen)>\n"
	  "BADLINE text=<* 1 FETCH UID 5>\n"
	  "BADLINE text=<* 1 FETCH (UID 5)) x>\n"
	  "BADLINE text=<* 1 FETCH (FLAGS (a (b)) UID {4}\\x0D\\x0A)>\n"
	  "BADLINE text=<* 1 FETCH (UID \"unterminated>\n"
	  "BADLINE text=<* 1 FETCH (\"UID\" 5)>\n"
	  "BADLINE text=<* 1 FETCH (BODY[] foo UID 3)>\n"
	  "BADLINE text=<* 1 FETCH (BODY[HEADER.FIELDS (>\n"
	  "BADLINE text=<* 1 FETCH (X {a}>\n"
	  "EXISTS 2\n" },
	{ "P19: the literal swallowed the parenthesis",
	  INPUT("* 1 FETCH (UID 5 BODY[] {3}\r\n"
		"ab)\r\n"
		"A1 OK\r\n"),
	  "BODY number=1 uid=5 item=<BODY[]> section=<> whole bytes=3 [ab)]\n"
	  "ERROR protocol error after a message body (no FETCH item where one must "
	  "be): * 1 FETCH (UID 5 BODY[] {3}\n" },
	{ "P19: the literal is longer than announced",
	  INPUT("* 1 FETCH (UID 5 BODY[] {2}\r\n"
		"abc)\r\n"
		"A1 OK\r\n"),
	  "BODY number=1 uid=5 item=<BODY[]> section=<> whole bytes=2 [ab]\n"
	  "ERROR protocol error after a message body (no FETCH item where one must "
	  "be): * 1 FETCH (UID 5 BODY[] {2}\\x0D\\x0Ac\n" },
	{ "P19: the same, the rest looks like an item",
	  INPUT("* 1 FETCH (UID 5 BODY[] {2}\r\n"
		"abcd e)\r\n"
		"A1 OK\r\n"),
	  "BODY number=1 uid=5 item=<BODY[]> section=<> whole bytes=2 [ab]\n"
	  "ERROR protocol error after a message body (no FETCH item where one must "
	  "be): * 1 FETCH (UID 5 BODY[] {2}\\x0D\\x0Acd\n" },
	{ "garbage after a body",
	  INPUT("* 1 FETCH (UID 5 BODY[] {2}\r\n"
		"ab) x\r\n"
		"A1 OK\r\n"),
	  "BODY number=1 uid=5 item=<BODY[]> section=<> whole bytes=2 [ab]\n"
	  "ERROR protocol error after a message body (more after the end of "
	  "FETCH): * 1 FETCH (UID 5 BODY[] {2}\\x0D\\x0A) x\n" },
};

static const struct row others[] = {
	{ "P24: unknown responses are skipped whole",
	  INPUT("* NAMESPACE ((\"\" \"/\")) NIL ((\"#shared/\" {1}\r\n"
		"/))\r\n"
		"* ID (\"name\" \"x\" \"v\" NIL)\r\n"
		"* QUOTA \"\" (STORAGE 10 512)\r\n"
		"* METADATA \"\" (/shared/comment ~{6}\r\n"
		"a)\"\r\n"
		"\\)\r\n"
		"* 5 X-FOO \"{3}\" {2}\r\n"
		"ab y\r\n"
		"* UIDBATCHES (TAG \"A1\") 9000:7001\r\n"
		"* SORT 3 1 2\r\n"),
	  "OTHER name=<NAMESPACE> text=<((\"\" \"/\")) NIL ((\"#shared/\" "
	  "\"/\"))>\n"
	  "OTHER name=<ID> text=<(\"name\" \"x\" \"v\" NIL)>\n"
	  "OTHER name=<QUOTA> text=<\"\" (STORAGE 10 512)>\n"
	  "OTHER name=<METADATA> text=<\"\" (/shared/comment "
	  "\"a)\\\\\"\\x0D\\x0A\\\\\\\\\")>\n"
	  "OTHER number=5 name=<X-FOO> text=<\"{3}\" \"ab\" y>\n"
	  "OTHER name=<UIDBATCHES> text=<(TAG \"A1\") 9000:7001>\n"
	  "OTHER name=<SORT> text=<3 1 2>\n" },
	{ "a quoted string ends in what looks like a literal",
	  INPUT("* X \"a {3}\"\r\n"
		"* X \"{3}\r\n"
		"* 1 EXISTS\r\n"),
	  "OTHER name=<X> text=<\"a {3}\">\n"
	  "OTHER name=<X> text=<\"{3}>\n"
	  "EXISTS 1\n" },
	{ "a brace inside a word is no literal",
	  INPUT("* X foo{3}\r\n"
		"* 1 EXISTS\r\n"),
	  "OTHER name=<X> text=<foo{3}>\n"
	  "EXISTS 1\n" },
};

static const struct row lines[] = {
	{ "P18: bare LF, NULs, blank lines and blanks around",
	  INPUT("\000\000* OK a\n"
		"\r\n"
		"  * 5 EXISTS  \n"
		"* 1 FETCH (BODY[] {3}\n"
		"a\n"
		"b UID 5)\n"
		"A1 OK x\r\r\n"),
	  "OK text=<a>\n"
	  "EXISTS 5\n"
	  "BODY number=1 item=<BODY[]> section=<> whole bytes=3 [a\\x0Ab]\n"
	  "FETCH number=1 uid=5 body\n"
	  "OK tag=<A1> text=<x>\n" },
	{ "P25: a tagged line that cannot be read still ends its command",
	  INPUT("A1\r\n"
		"A2 \r\n"
		"A3 HELLO x\r\n"
		"A4 BYE x\r\n"
		"A5 {5}\r\n"
		"A6 (x\r\n"
		"A7 [ALERT] x\r\n"
		"A8 OK x\r\n"),
	  "BAD tag=<A1> malformed text=<A1>\n"
	  "BAD tag=<A2> malformed text=<A2 >\n"
	  "BAD tag=<A3> malformed text=<A3 HELLO x>\n"
	  "BAD tag=<A4> malformed text=<A4 BYE x>\n"
	  "BAD tag=<A5> malformed text=<A5 {5}>\n"
	  "BAD tag=<A6> malformed text=<A6 (x>\n"
	  "BAD tag=<A7> malformed text=<A7 [ALERT] x>\n"
	  "OK tag=<A8> text=<x>\n" },
	{ "lines of nobody",
	  INPUT("hello {5}\r\n"
		"(\r\n"
		"\"x\r\n"
		"* \r\n"
		"*\r\n"
		"* (x) {3}\r\n"
		"abc\r\n"
		"* \"x\"\r\n"
		"* 1 2\r\n"
		"A9 OK x\r\n"),
	  "BADLINE text=<hello {5}>\n"
	  "BADLINE text=<(>\n"
	  "BADLINE text=<\"x>\n"
	  "BADLINE text=<* >\n"
	  "BADLINE text=<*>\n"
	  "BADLINE text=<* (x) {3}>\n"
	  "BADLINE text=<* \"x\">\n"
	  "BADLINE text=<* 1 2>\n"
	  "OK tag=<A9> text=<x>\n" },
	{ "a literal whose size nobody can know",
	  INPUT("* LIST () \"/\" {99999999999999999999}\r\n"),
	  "ERROR protocol error: literal size out of range: * LIST () \"/\" "
	  "{99999999999999999999}\n" },
	{ "the same inside FETCH",
	  INPUT("* 1 FETCH (BODY[] {18446744073709551616}\r\n"),
	  "ERROR protocol error: literal size out of range: * 1 FETCH (BODY[] "
	  "{1844674407370955161\n" },
	{ "the largest size there is",
	  INPUT("* 1 FETCH (BODY[] {18446744073709551615}\r\n"
		"ab"),
	  "BODY number=1 item=<BODY[]> section=<> whole bytes=18446744073709551615 "
	  "[ab...\n" },
	{ "the stream ends inside a response",
	  INPUT("* OK x\r\n"
		"* 1 FETCH (UID 5 BODY[] {9}\r\n"
		"ab"),
	  "OK text=<x>\n"
	  "BODY number=1 uid=5 item=<BODY[]> section=<> whole bytes=9 [ab...\n" },
};

static void test_statuses_are_read(void **state)
{
	(void)state;
	check(statuses, COUNT(statuses));
}

static void test_codes_are_read_by_their_grammar(void **state)
{
	(void)state;
	check(codes, COUNT(codes));
}

static void test_continuations_are_read_whatever_follows_the_plus(void **state)
{
	(void)state;
	check(continuations, COUNT(continuations));
	check(words, COUNT(words));
}

static void test_mailbox_names_come_through_as_they_are(void **state)
{
	(void)state;
	check(lists, COUNT(lists));
}

static void test_mailbox_states_are_read(void **state)
{
	(void)state;
	check(mailbox_states, COUNT(mailbox_states));
}

static void test_sets_are_read_as_ranges(void **state)
{
	(void)state;
	check(sets, COUNT(sets));
}

static void test_a_fetch_gives_its_bodies_and_then_all_attributes(void **state)
{
	(void)state;
	check(fetches, COUNT(fetches));
}

static void test_unknown_responses_are_skipped_whole(void **state)
{
	(void)state;
	check(others, COUNT(others));
}

static void test_reading_goes_on_after_a_line_that_is_no_response(void **state)
{
	(void)state;
	check(lines, COUNT(lines));
}

static void repeat(struct buf *b, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_add_str(b, text);
}

/* before, `times` x `what`, after: the dump must begin with `want`, and reading must go on. */
static void test_what_passes_a_ceiling_is_a_bad_line_and_reading_goes_on(void **state)
{
	static const struct {
		const char *before, *what;
		size_t times;
		const char *after, *want;
	} cases[] = {
		{ "* 1 FETCH (X ", "(", 33, "\r\n", "BADLINE" },
		{ "* 1 FETCH (X ", "(", 100000, "\r\n", "BADLINE" },
		{ "* ESEARCH X ", "(", 33, "\r\n", "BADLINE" },
		{ "* LIST (", "(", 33, ") \"/\" x\r\n", "BADLINE" },
		{ "* 1 FETCH (X ", "y", 70000, " UID 1)\r\n", "BADLINE" },
		{ "* 1 FETCH (FLAGS (", "y", 2000, "))\r\n", "BADLINE" },
		{ "* 1 FETCH (ENVELOPE ", "(", 33, "\r\n", "BADLINE" },
		{ "* 1 FETCH (BODYSTRUCTURE ", "(", 100000, "\r\n", "BADLINE" },
		{ "* 1 FETCH (X-GM-LABELS (\"", "y (", 30000, "\"))\r\n", "BADLINE" },
		{ "* 1 FETCH (X \"", "y (", 30000, "\" UID 1)\r\n", "BADLINE" },
		{ "* 1 FETCH (BODY[] \"", "y", 70000, "\")\r\n", "BADLINE" },
		{ "* 1 FETCH (BODY[HEADER.FIELDS (", "x ", 40000, ")] \"\")\r\n", "BADLINE" },
		{ "* 1 FETCH (BODY[HEADER.FIELDS ({80000}\r\n", "x", 80000, ")] \"\")\r\n",
		  "BADLINE" },
		{ "* LIST () \"/\" ", "x", 300000, "\r\n", "BADLINE" },
		{ "* LIST () \"/\" ", "x", 5000, "\r\n", "BADLINE" },
		{ "* LIST () \"/\" {300000}\r\n", "x", 300000, "\r\n", "BADLINE" },
		{ "* STATUS \"", "x", 5000, "\" (MESSAGES 1)\r\n", "BADLINE" },
		{ "* CAPABILITY", " X", 200000, "\r\n", "BADLINE" },
		{ "* FLAGS (", "x ", 5000, ")\r\n", "BADLINE" },
		{ "", "x", 70000, " OK\r\n", "BADLINE" },
		{ "* ", "x", 70000, " OK\r\n", "BADLINE" },
		{ "A", "1", 70000, " OK\r\n", "BADLINE" },
		{ "+ ", "x", 300000, "\r\n", "BADLINE" },
		/* These count as not sent. */
		{ "* 1 FETCH (ENVELOPE (", "\"a\" ", 80000, ") UID 5)\r\n",
		  "FETCH number=1 uid=5\n" },
		{ "* 1 FETCH (ENVELOPE (x) ENVELOPE (", "\"a\" ", 80000, ") UID 5)\r\n",
		  "FETCH number=1 uid=5\n" },
		{ "* 1 FETCH (BODYSTRUCTURE (a ({150000}\r\n", "\"", 150000, ")) UID 5)\r\n",
		  "FETCH number=1 uid=5\n" },
		{ "* 1 FETCH (X-GM-LABELS ({300000}\r\n", "a", 300000, ") UID 5)\r\n",
		  "FETCH number=1 uid=5\n" },
		{ "* 1 FETCH (PREVIEW {70000}\r\n", "a", 70000, " UID 5)\r\n",
		  "FETCH number=1 uid=5\n" },
		{ "* 1 FETCH (EMAILID ({70000}\r\n", "a", 70000, ") UID 5)\r\n",
		  "FETCH number=1 uid=5\n" },
		/* These lose their tail only. */
		{ "A1 OK ", "x", 300000, "\r\n", "OK tag=<A1> text=<xxx" },
		{ "* OK [X ", "x", 300000, "] y\r\n", "OK text=<[X xxx" },
		{ "* OK [X {300000}\r\n", "x", 300000, "] y\r\n", "OK text=<[X \"xxx" },
		{ "* X ", "\"\\\"\" ", 80000, "\r\n", "OTHER name=<X> text=<\"\\\\\"\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t step = 0; step < 10000; step = step * 10 + 7) {
			struct buf in = BUF_INIT(1 << 20), got = BUF_INIT(1 << 21);
			size_t n = strlen(cases[i].want);

			buf_add_str(&in, cases[i].before);
			repeat(&in, cases[i].what, cases[i].times);
			buf_add_str(&in, cases[i].after);
			buf_add_str(&in, "* 7 EXISTS\r\n");
			response_dump_all(&got, "A", buf_bytes(&in), step);
			assert_true(got.n > n);
			if (strncmp(buf_str(&got), cases[i].want, n) != 0)
				print_error("case %zu: %.60s\n", i, buf_str(&got));
			assert_memory_equal(got.p, cases[i].want, n);
			assert_non_null(strstr(buf_str(&got), "\nEXISTS 7\n"));
			buf_release(&in);
			buf_release(&got);
		}
}

static void test_lists_are_followed_32_deep_and_no_deeper(void **state)
{
	static const struct {
		const char *before, *after, *want;
	} cases[] = {
		{ "* 1 FETCH (X ", " UID 5)\r\n", "FETCH number=1 uid=5\n" },
		{ "* 1 FETCH (ENVELOPE ", " UID 5 ENVELOPE ())\r\n",
		  "FETCH number=1 uid=5 envelope=<>\n" },
		{ "* ESEARCH X ", " COUNT 2\r\n", "ESEARCH count=2\n" },
		{ "* STATUS a (X ", " UNSEEN 3)\r\n", "MAILBOX name=<a> unseen=3\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t depth = 31; depth <= 33; depth++) {
			struct buf in = BUF_INIT(4096), got = BUF_INIT(4096);

			buf_add_str(&in, cases[i].before);
			repeat(&in, "(", depth);
			repeat(&in, ")", depth);
			buf_add_str(&in, cases[i].after);
			response_dump_all(&got, "A", buf_bytes(&in), 1);
			if (depth <= 32)
				assert_string_equal(buf_str(&got), cases[i].want);
			else
				assert_memory_equal(got.p, "BADLINE", 7);
			buf_release(&in);
			buf_release(&got);
		}
}

static void test_too_many_flags_fail_the_line_only(void **state)
{
	struct buf in = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);

	(void)state;
	buf_add_str(&in, "* 1 FETCH (FLAGS (");
	for (int i = 0; i < 5000; i++)
		buf_addf(&in, "k%d ", i);
	buf_add_str(&in, "))\r\n* 7 EXISTS\r\n");
	response_dump_all(&got, "A", buf_bytes(&in), 0);
	assert_memory_equal(got.p, "BADLINE", 7);
	assert_non_null(strstr(buf_str(&got), "\nEXISTS 7\n"));
	buf_release(&in);
	buf_release(&got);
}

/* 200,000 numbers in one line are far beyond the ceiling of a line, and are fast. */
static void test_a_set_of_any_length_is_read_in_linear_time(void **state)
{
	struct buf in = BUF_INIT(1 << 23);
	struct imap_parser *p = imap_parser_new("A");
	struct imap_response r;
	struct bytes input;
	struct err err;
	int64_t start;

	(void)state;
	buf_add_str(&in, "* SEARCH");
	for (unsigned i = 0; i < 200000; i++)
		buf_addf(&in, " %u", i * 2 + 1);
	buf_add_str(&in, "\r\n* ESEARCH (TAG \"A1\") UID ALL 1");
	for (unsigned i = 1; i < 200000; i++)
		buf_addf(&in, ",%u", i * 2 + 1);
	buf_add_str(&in, "\r\n");
	input = buf_bytes(&in);
	start = clock_ms();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(imap_parser_next(p, &input, &r, &err), IMAP_STEP_READY);
		assert_int_equal(r.type, i ? IMAP_RESPONSE_ESEARCH : IMAP_RESPONSE_SEARCH);
		assert_int_equal(uidset_count(r.u.search.set), 200000);
		assert_true(uidset_has(r.u.search.set, 399999));
	}
	assert_true(clock_ms() - start < 2000);
	imap_parser_free(p);
	buf_release(&in);
}

static void test_a_body_passes_through_without_being_held(void **state)
{
	struct imap_parser *p = imap_parser_new("A");
	struct bytes in = bytes_of("* 1 FETCH (BODY[] {5000000000}\r\n");
	static const uint8_t block[1 << 16];
	uint64_t left = UINT64_C(5000000000);
	struct imap_response r;
	struct err err;

	(void)state;
	assert_int_equal(imap_parser_next(p, &in, &r, &err), IMAP_STEP_READY);
	assert_int_equal(r.type, IMAP_RESPONSE_BODY_BEGIN);
	assert_true(r.u.fetch.body.size == left);
	assert_int_equal(imap_parser_next(p, &in, &r, &err), IMAP_STEP_MORE);
	while (left > 0) {
		struct bytes piece = bytes_from(block, left < sizeof(block) ? left : sizeof(block));

		left -= piece.n;
		assert_int_equal(imap_parser_next(p, &piece, &r, &err), IMAP_STEP_READY);
		assert_int_equal(r.type, IMAP_RESPONSE_BODY_DATA);
		assert_ptr_equal(r.u.text.p, block); /* the caller's own bytes, not a copy */
	}
	in = bytes_of(" UID 3)\r\n");
	assert_int_equal(imap_parser_next(p, &in, &r, &err), IMAP_STEP_READY);
	assert_int_equal(r.type, IMAP_RESPONSE_BODY_END);
	assert_int_equal(imap_parser_next(p, &in, &r, &err), IMAP_STEP_READY);
	assert_int_equal(r.type, IMAP_RESPONSE_FETCH);
	assert_int_equal(r.u.fetch.uid, 3);
	imap_parser_free(p);
}

static void test_idle_says_whether_anything_was_begun(void **state)
{
	static const struct {
		const char *input;
		bool idle;
	} cases[] = {
		{ "", true },
		{ "* OK x\r\n", true },
		{ "* OK x\r\n\r\n", true },
		{ "*", false },
		{ "* OK x\r", false },
		{ "A", false },
		{ "* 1 FETCH (BODY[] {1}\r\n", false },
		{ "A1 OK x\r\n* 1 EX", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_parser *p = imap_parser_new("A");
		struct bytes in = bytes_of(cases[i].input);
		struct imap_response r;
		struct err err;

		while (imap_parser_next(p, &in, &r, &err) == IMAP_STEP_READY)
			;
		assert_int_equal(imap_parser_is_idle(p), cases[i].idle);
		imap_parser_free(p);
	}
}

static void test_after_an_error_nothing_more_is_read(void **state)
{
	struct imap_parser *p = imap_parser_new("A");
	struct bytes in = bytes_of("* LIST () \"\x1b[2J\" {99999999999999999999}\r\n* OK x\r\n");
	struct imap_response r;
	struct err err;

	(void)state;
	assert_int_equal(imap_parser_next(p, &in, &r, &err), IMAP_STEP_ERROR);
	assert_int_equal(err.kind, ERR_RETRY);
	assert_null(strchr(err.text, '\x1b'));
	assert_non_null(strstr(err.text, "\\x1B[2J"));
	assert_int_equal(imap_parser_next(p, &in, &r, &err), IMAP_STEP_ERROR);
	assert_int_equal(err.kind, ERR_RETRY);
	imap_parser_free(p);
}

static void test_tags_of_other_connections_are_no_tags(void **state)
{
	struct buf got = BUF_INIT(4096);

	(void)state;
	response_dump_all(&got, "k7f", bytes_of("k7f1 OK a\r\nk7 OK b\r\nK7F2 OK c\r\n"), 1);
	assert_string_equal(buf_str(&got), "OK tag=<k7f1> text=<a>\n"
					   "BADLINE text=<k7 OK b>\n"
					   "BADLINE text=<K7F2 OK c>\n");
	buf_clear(&got);
	response_dump_all(&got, "", bytes_of("x OK a\r\ny what\r\n"), 1);
	assert_string_equal(buf_str(&got), "OK tag=<x> text=<a>\n"
					   "BAD tag=<y> malformed text=<y what>\n");
	buf_release(&got);
}

static void test_namespaces_are_read(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		const char *want;
	} cases[] = {
		{ "((\"\" \"/\")) NIL NIL", true, "0<>/ " },
		{ "((\"INBOX.\" \".\")) ((\"~\" \"/\")(\"#x\" NIL)) ((\"#s/\" \"/\"))", true,
		  "0<INBOX.>. 1<~>/ 1<#x>0 2<#s/>/ " },
		{ "((\"\" \"\\\\\" \"X-PARAM\" (\"F1\" \"F2\"))) nil NIL", true, "0<>\\ " },
		{ "NIL NIL NIL", true, "" },
		{ "() () ()", true, "" },
		{ "NIL NIL", false, "" },
		{ "((\"a\" \"/\")) x NIL", false, "0<a>/ " },
		{ "((\"a\"", false, "" },
		{ "((\"a\" \"/\" (", false, "" },
		{ "((\"a\" \"//\")) NIL NIL", false, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *copy = bytes_dup(bytes_of(cases[i].text));
		struct imap_scan s = imap_scan_init(copy, strlen(copy));
		struct buf got = BUF_INIT(1024);
		struct imap_namespace ns[8];
		size_t n;

		assert_int_equal(imap_scan_namespaces(&s, ns, 8, &n), cases[i].ok);
		for (size_t k = 0; k < n; k++)
			buf_addf(&got, "%d<%.*s>%c ", (int)ns[k].kind, (int)ns[k].prefix.n,
				 (const char *)ns[k].prefix.p,
				 ns[k].delimiter ? ns[k].delimiter : '0');
		assert_string_equal(buf_str(&got), cases[i].want);
		buf_release(&got);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statuses_are_read),
		cmocka_unit_test(test_codes_are_read_by_their_grammar),
		cmocka_unit_test(test_continuations_are_read_whatever_follows_the_plus),
		cmocka_unit_test(test_mailbox_names_come_through_as_they_are),
		cmocka_unit_test(test_mailbox_states_are_read),
		cmocka_unit_test(test_sets_are_read_as_ranges),
		cmocka_unit_test(test_a_fetch_gives_its_bodies_and_then_all_attributes),
		cmocka_unit_test(test_unknown_responses_are_skipped_whole),
		cmocka_unit_test(test_reading_goes_on_after_a_line_that_is_no_response),
		cmocka_unit_test(test_what_passes_a_ceiling_is_a_bad_line_and_reading_goes_on),
		cmocka_unit_test(test_lists_are_followed_32_deep_and_no_deeper),
		cmocka_unit_test(test_too_many_flags_fail_the_line_only),
		cmocka_unit_test(test_a_set_of_any_length_is_read_in_linear_time),
		cmocka_unit_test(test_a_body_passes_through_without_being_held),
		cmocka_unit_test(test_idle_says_whether_anything_was_begun),
		cmocka_unit_test(test_after_an_error_nothing_more_is_read),
		cmocka_unit_test(test_tags_of_other_connections_are_no_tags),
		cmocka_unit_test(test_namespaces_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
