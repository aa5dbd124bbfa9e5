#include "core/imap/caps.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/log.h"

#define MAX_TEXT (64 * 1024)

/* Names as on the wire. */
static const char *const names[IMAP_CAP_COUNT] = {
	[IMAP_CAP_IMAP4REV1] = "IMAP4rev1",
	[IMAP_CAP_IMAP4REV2] = "IMAP4rev2",
	[IMAP_CAP_ACL] = "ACL",
	[IMAP_CAP_APPENDLIMIT] = "APPENDLIMIT",
	[IMAP_CAP_BINARY] = "BINARY",
	[IMAP_CAP_BINARY_FETCH] = "BINARY-FETCH", /* no wire name: only implied */
	[IMAP_CAP_CATENATE] = "CATENATE",
	[IMAP_CAP_CHILDREN] = "CHILDREN",
	[IMAP_CAP_COMPRESS_DEFLATE] = "COMPRESS=DEFLATE",
	[IMAP_CAP_CONDSTORE] = "CONDSTORE",
	[IMAP_CAP_CONTEXT_SEARCH] = "CONTEXT=SEARCH",
	[IMAP_CAP_CONTEXT_SORT] = "CONTEXT=SORT",
	[IMAP_CAP_CREATE_SPECIAL_USE] = "CREATE-SPECIAL-USE",
	[IMAP_CAP_ENABLE] = "ENABLE",
	[IMAP_CAP_ESEARCH] = "ESEARCH",
	[IMAP_CAP_ESORT] = "ESORT",
	[IMAP_CAP_ID] = "ID",
	[IMAP_CAP_IDLE] = "IDLE",
	[IMAP_CAP_INPROGRESS] = "INPROGRESS",
	[IMAP_CAP_JMAPACCESS] = "JMAPACCESS",
	[IMAP_CAP_LIST_EXTENDED] = "LIST-EXTENDED",
	[IMAP_CAP_LIST_METADATA] = "LIST-METADATA",
	[IMAP_CAP_LIST_MYRIGHTS] = "LIST-MYRIGHTS",
	[IMAP_CAP_LIST_STATUS] = "LIST-STATUS",
	[IMAP_CAP_LITERAL_MINUS] = "LITERAL-",
	[IMAP_CAP_LITERAL_PLUS] = "LITERAL+",
	[IMAP_CAP_LOGINDISABLED] = "LOGINDISABLED",
	[IMAP_CAP_MESSAGELIMIT] = "MESSAGELIMIT",
	[IMAP_CAP_METADATA] = "METADATA",
	[IMAP_CAP_METADATA_SERVER] = "METADATA-SERVER",
	[IMAP_CAP_MOVE] = "MOVE",
	[IMAP_CAP_MULTIAPPEND] = "MULTIAPPEND",
	[IMAP_CAP_MULTISEARCH] = "MULTISEARCH",
	[IMAP_CAP_NAMESPACE] = "NAMESPACE",
	[IMAP_CAP_NOTIFY] = "NOTIFY",
	[IMAP_CAP_OBJECTID] = "OBJECTID",
	[IMAP_CAP_PARTIAL] = "PARTIAL",
	[IMAP_CAP_PREVIEW] = "PREVIEW",
	[IMAP_CAP_QRESYNC] = "QRESYNC",
	[IMAP_CAP_QUOTA] = "QUOTA",
	[IMAP_CAP_REPLACE] = "REPLACE",
	[IMAP_CAP_SASL_IR] = "SASL-IR",
	[IMAP_CAP_SAVEDATE] = "SAVEDATE",
	[IMAP_CAP_SAVELIMIT] = "SAVELIMIT",
	[IMAP_CAP_SEARCHRES] = "SEARCHRES",
	[IMAP_CAP_SORT] = "SORT",
	[IMAP_CAP_SPECIAL_USE] = "SPECIAL-USE",
	[IMAP_CAP_STARTTLS] = "STARTTLS",
	[IMAP_CAP_STATUS_DELETED] = "STATUS=DELETED",
	[IMAP_CAP_STATUS_MAILBOXID] = "STATUS=MAILBOXID",
	[IMAP_CAP_STATUS_SIZE] = "STATUS=SIZE",
	[IMAP_CAP_THREAD] = "THREAD",
	[IMAP_CAP_UIDBATCHES] = "UIDBATCHES",
	[IMAP_CAP_UIDONLY] = "UIDONLY",
	[IMAP_CAP_UIDPLUS] = "UIDPLUS",
	[IMAP_CAP_UNAUTHENTICATE] = "UNAUTHENTICATE",
	[IMAP_CAP_UNSELECT] = "UNSELECT",
	[IMAP_CAP_URLAUTH] = "URLAUTH",
	[IMAP_CAP_UTF8_ACCEPT] = "UTF8=ACCEPT",
	[IMAP_CAP_UTF8_ONLY] = "UTF8=ONLY",
	[IMAP_CAP_WITHIN] = "WITHIN",
	[IMAP_CAP_X_GM_EXT_1] = "X-GM-EXT-1",
};

_Static_assert(IMAP_CAP_COUNT <= 64, "capabilities fit in one word");

#define BIT(cap) ((uint64_t)1 << (cap))

/* What a capability brings along; the right side may imply more, so order matters: later
 * rows see what earlier ones added. */
static const struct {
	enum imap_cap cap;
	uint64_t implies;
} implied_by[] = {
	/* RFC 9051, appendix E.2 and E.3. */
	{ IMAP_CAP_IMAP4REV2,
	  BIT(IMAP_CAP_NAMESPACE) | BIT(IMAP_CAP_UNSELECT) | BIT(IMAP_CAP_UIDPLUS) |
		  BIT(IMAP_CAP_ESEARCH) | BIT(IMAP_CAP_SEARCHRES) | BIT(IMAP_CAP_ENABLE) |
		  BIT(IMAP_CAP_IDLE) | BIT(IMAP_CAP_SASL_IR) | BIT(IMAP_CAP_LIST_EXTENDED) |
		  BIT(IMAP_CAP_LIST_STATUS) | BIT(IMAP_CAP_MOVE) | BIT(IMAP_CAP_LITERAL_MINUS) |
		  BIT(IMAP_CAP_STATUS_SIZE) | BIT(IMAP_CAP_STATUS_DELETED) |
		  BIT(IMAP_CAP_BINARY_FETCH) | BIT(IMAP_CAP_CHILDREN) },
	{ IMAP_CAP_BINARY, BIT(IMAP_CAP_BINARY_FETCH) },
	{ IMAP_CAP_OBJECTID, BIT(IMAP_CAP_STATUS_MAILBOXID) },
	{ IMAP_CAP_QRESYNC, BIT(IMAP_CAP_CONDSTORE) | BIT(IMAP_CAP_ENABLE) },
	{ IMAP_CAP_UTF8_ONLY, BIT(IMAP_CAP_UTF8_ACCEPT) | BIT(IMAP_CAP_ENABLE) },
	{ IMAP_CAP_UTF8_ACCEPT, BIT(IMAP_CAP_ENABLE) },
};

void imap_caps_init(struct imap_caps *caps)
{
	*caps = (struct imap_caps){
		.text = BUF_INIT(MAX_TEXT),
		.disabled_auth = BUF_INIT(MAX_TEXT),
	};
}

void imap_caps_release(struct imap_caps *caps)
{
	buf_release(&caps->text);
	buf_release(&caps->disabled_auth);
	caps->bits = 0;
}

void imap_caps_clear(struct imap_caps *caps)
{
	caps->bits = 0;
	caps->append_limit = caps->message_limit = 0;
	buf_clear(&caps->text);
}

static bool is_separator(uint8_t c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* Take the next word off *text. False when there is none. */
static bool next_word(struct bytes *text, struct bytes *word)
{
	while (text->n > 0 && is_separator(text->p[0]))
		*text = bytes_skip(*text, 1);
	*word = bytes_from(text->p, 0);
	while (word->n < text->n && !is_separator(text->p[word->n]))
		word->n++;
	*text = bytes_skip(*text, word->n);
	return word->n > 0;
}

static struct bytes value_of(struct bytes word)
{
	const uint8_t *equals = memchr(word.p, '=', word.n);

	return equals ? bytes_skip(word, (size_t)(equals - word.p) + 1) : bytes_from(NULL, 0);
}

/* The capability a word stands for; IMAP_CAP_COUNT when it is not a known one. */
static enum imap_cap find(struct bytes word)
{
	static const struct {
		const char *prefix;
		enum imap_cap cap;
	} valued[] = {
		{ "APPENDLIMIT=", IMAP_CAP_APPENDLIMIT },
		{ "MESSAGELIMIT=", IMAP_CAP_MESSAGELIMIT },
		{ "SAVELIMIT=", IMAP_CAP_SAVELIMIT },
		{ "THREAD=", IMAP_CAP_THREAD },
		{ "SORT=", IMAP_CAP_SORT },
		{ "QUOTA=", IMAP_CAP_QUOTA },
		{ "URLAUTH=", IMAP_CAP_URLAUTH },
	};

	for (int i = 0; i < IMAP_CAP_COUNT; i++)
		if (i != IMAP_CAP_BINARY_FETCH && bytes_is_nocase(word, names[i]))
			return (enum imap_cap)i;
	for (size_t i = 0; i < sizeof(valued) / sizeof(valued[0]); i++)
		if (bytes_starts_nocase(word, valued[i].prefix))
			return valued[i].cap;
	return IMAP_CAP_COUNT;
}

static void add_word(struct imap_caps *caps, struct bytes word)
{
	enum imap_cap cap = find(word);
	uint64_t n;

	if (cap == IMAP_CAP_COUNT || (caps->disabled & BIT(cap)))
		return;
	caps->bits |= BIT(cap);
	if (cap == IMAP_CAP_APPENDLIMIT && bytes_to_u64(value_of(word), &n))
		caps->append_limit = n;
	if (cap == IMAP_CAP_MESSAGELIMIT && bytes_to_u64(value_of(word), &n))
		caps->message_limit = n;
}

void imap_caps_set(struct imap_caps *caps, struct bytes words, bool implied)
{
	struct bytes word;

	imap_caps_clear(caps);
	while (next_word(&words, &word)) {
		/* `LITERAL +`: some servers split their own name. */
		bool split = bytes_is(word, "+") || bytes_is(word, "-");

		if (caps->text.n > 0 && !split)
			buf_add_byte(&caps->text, ' ');
		buf_add(&caps->text, word);
	}
	words = buf_bytes(&caps->text);
	while (next_word(&words, &word))
		add_word(caps, word);
	for (size_t i = 0; implied && i < sizeof(implied_by) / sizeof(implied_by[0]); i++)
		if (caps->bits & BIT(implied_by[i].cap))
			caps->bits |= implied_by[i].implies & ~caps->disabled;
}

int imap_caps_disable(struct imap_caps *caps, const char *list, struct err *err)
{
	struct bytes left = bytes_of(list), word;

	while (next_word(&left, &word)) {
		enum imap_cap cap = find(word);

		if (bytes_starts_nocase(word, "AUTH=") && word.n > 5) {
			buf_add_byte(&caps->disabled_auth, ' ');
			buf_add(&caps->disabled_auth, bytes_skip(word, 5));
			continue;
		}
		if (cap == IMAP_CAP_COUNT) {
			char *shown = escape_text(word, 60);

			err_set(err, ERR_CONFIG, "no extension named %s is known", shown);
			free(shown);
			return -1;
		}
		caps->disabled |= BIT(cap);
		if (cap == IMAP_CAP_BINARY)
			caps->disabled |= BIT(IMAP_CAP_BINARY_FETCH);
	}
	return 0;
}

bool imap_caps_has(const struct imap_caps *caps, enum imap_cap cap)
{
	return caps->bits & BIT(cap);
}

static bool has_word(struct bytes text, const char *wanted)
{
	struct bytes word;

	while (next_word(&text, &word))
		if (bytes_is_nocase(word, wanted))
			return true;
	return false;
}

bool imap_caps_masks_auth(const struct imap_caps *caps, const char *mechanism)
{
	return has_word(buf_bytes(&caps->disabled_auth), mechanism);
}

bool imap_caps_has_auth(const struct imap_caps *caps, const char *mechanism)
{
	struct bytes text = buf_bytes(&caps->text), word;

	if (imap_caps_masks_auth(caps, mechanism))
		return false;
	while (next_word(&text, &word))
		if (bytes_starts_nocase(word, "AUTH=") &&
		    bytes_is_nocase(bytes_skip(word, 5), mechanism))
			return true;
	return false;
}

bool imap_caps_lists(const struct imap_caps *caps, const char *word)
{
	return has_word(buf_bytes(&caps->text), word);
}

bool imap_caps_unknown(const struct imap_caps *caps)
{
	return caps->text.n == 0;
}

const char *imap_cap_name(enum imap_cap cap)
{
	return names[cap];
}
