#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands_manage.h"
#include "core/imap/commands_private.h"

/* Far more than any server has; what goes past them is left out. */
#define ROOTS_MAX 64
#define RESOURCES_MAX 64
#define IDENTIFIERS_MAX 4096

/* --- QUOTA --- */

void imap_quotas_release(struct imap_quotas *q)
{
	for (size_t i = 0; i < q->n; i++) {
		for (size_t j = 0; j < q->roots[i].n; j++)
			free(q->roots[i].resources[j].name);
		free(q->roots[i].resources);
		free(q->roots[i].root);
	}
	free(q->roots);
	*q = (struct imap_quotas){ 0 };
}

struct quota_wait {
	struct waiter waiter; /* first */
	struct imap_quotas *out;
};

static bool quota_claims(void *ctx, const struct imap_response *r)
{
	(void)ctx;
	return bytes_is_nocase(r->u.other.name, "QUOTA") ||
	       bytes_is_nocase(r->u.other.name, "QUOTAROOT");
}

static struct imap_quota *add_root(struct imap_quotas *q, struct bytes root)
{
	q->roots = xgrow(q->roots, q->n, &q->cap, sizeof(*q->roots));
	q->roots[q->n] = (struct imap_quota){ .root = bytes_dup(root) };
	return &q->roots[q->n++];
}

static void read_resources(struct imap_quota *quota, struct imap_scan *scan)
{
	struct imap_quota_resource r;
	struct bytes name;

	while (quota->n < RESOURCES_MAX && imap_scan_peek(scan) != ')' &&
	       imap_scan_astring(scan, &name) && imap_scan_u64(scan, &r.usage) &&
	       imap_scan_u64(scan, &r.limit)) {
		quota->resources = xgrow(quota->resources, quota->n, &quota->cap,
					 sizeof(*quota->resources));
		r.name = bytes_dup(name);
		quota->resources[quota->n++] = r;
	}
}

static void on_quota(void *ctx, const struct imap_response *r)
{
	struct quota_wait *w = ctx;
	char *text = bytes_dup(r->u.other.text);
	struct imap_scan scan = imap_scan_init(text, r->u.other.text.n);
	struct bytes root;

	/* QUOTAROOT only names what QUOTA tells with its values. */
	if (bytes_is_nocase(r->u.other.name, "QUOTA") && w->out->n < ROOTS_MAX &&
	    imap_scan_astring(&scan, &root) && imap_scan_byte(&scan, '('))
		read_resources(add_root(w->out, root), &scan);
	free(text);
}

static int get_quota(struct imap_session *s, const char *word, struct bytes arg, bool is_mailbox,
		     struct imap_quotas *out, struct err *err)
{
	struct quota_wait w = { .waiter.session = s, .out = out };
	struct imap_encoder e;
	char *what;
	int ret;

	*out = (struct imap_quotas){ 0 };
	if (command_needs(s, IMAP_CAP_QUOTA, word, err) < 0)
		return -1;
	what = command_describe(word, arg);
	imap_session_encoder(s, &e);
	imap_encode_word(&e, word);
	if (is_mailbox)
		imap_encode_mailbox(&e, arg);
	else
		imap_encode_astring(&e, arg);
	ret = waiter_do(&w.waiter, &e, &(struct imap_request){
		.what = what,
		.wants = IMAP_WANT(IMAP_RESPONSE_OTHER),
		.claims = quota_claims,
		.handler.on_response = on_quota }, err);
	free(what);
	if (ret < 0)
		imap_quotas_release(out);
	return ret;
}

int imap_getquota_wait(struct imap_session *s, struct bytes root, struct imap_quotas *out,
		       struct err *err)
{
	return get_quota(s, "GETQUOTA", root, false, out, err);
}

int imap_getquotaroot_wait(struct imap_session *s, struct bytes wire_name,
			   struct imap_quotas *out, struct err *err)
{
	return get_quota(s, "GETQUOTAROOT", wire_name, true, out, err);
}

/* --- ACL --- */

void imap_acl_release(struct imap_acl *acl)
{
	for (size_t i = 0; i < acl->n; i++) {
		free(acl->identifiers[i]);
		free(acl->rights[i]);
	}
	free(acl->identifiers);
	free(acl->rights);
	*acl = (struct imap_acl){ 0 };
}

struct acl_wait {
	struct waiter waiter; /* first */
	struct imap_acl *acl;
	char *rights;
};

static void add_identifier(struct imap_acl *acl, struct bytes identifier, struct bytes rights)
{
	size_t cap = acl->cap;

	acl->identifiers = xgrow(acl->identifiers, acl->n, &cap, sizeof(*acl->identifiers));
	cap = acl->cap;
	acl->rights = xgrow(acl->rights, acl->n, &cap, sizeof(*acl->rights));
	acl->cap = cap;
	acl->identifiers[acl->n] = bytes_dup(identifier);
	acl->rights[acl->n++] = bytes_dup(rights);
}

static void on_acl(void *ctx, const struct imap_response *r)
{
	struct acl_wait *w = ctx;
	char *text = bytes_dup(r->u.other.text);
	struct imap_scan scan = imap_scan_init(text, r->u.other.text.n);
	struct bytes name, identifier, rights;

	if (imap_scan_astring(&scan, &name))
		while (w->acl->n < IDENTIFIERS_MAX && imap_scan_astring(&scan, &identifier) &&
		       imap_scan_astring(&scan, &rights))
			add_identifier(w->acl, identifier, rights);
	free(text);
}

static void on_myrights(void *ctx, const struct imap_response *r)
{
	struct acl_wait *w = ctx;
	char *text = bytes_dup(r->u.other.text);
	struct imap_scan scan = imap_scan_init(text, r->u.other.text.n);
	struct bytes name, rights;

	if (!w->rights && imap_scan_astring(&scan, &name) && imap_scan_astring(&scan, &rights))
		w->rights = bytes_dup(rights);
	free(text);
}

static int get_acl(struct acl_wait *w, const char *word, const char *answer,
		   struct bytes wire_name,
		   void (*on_response)(void *ctx, const struct imap_response *r),
		   struct err *err)
{
	struct imap_encoder e;
	char *what;
	int ret;

	if (command_needs(w->waiter.session, IMAP_CAP_ACL, word, err) < 0)
		return -1;
	what = command_describe(word, wire_name);
	imap_session_encoder(w->waiter.session, &e);
	imap_encode_word(&e, word);
	imap_encode_mailbox(&e, wire_name);
	ret = waiter_do(&w->waiter, &e, &(struct imap_request){
		.what = what,
		.wants = IMAP_WANT(IMAP_RESPONSE_OTHER),
		.wants_other = answer,
		.handler.on_response = on_response }, err);
	free(what);
	return ret;
}

int imap_myrights_wait(struct imap_session *s, struct bytes wire_name, char **rights,
		       struct err *err)
{
	struct acl_wait w = { .waiter.session = s };
	int ret = get_acl(&w, "MYRIGHTS", "MYRIGHTS", wire_name, on_myrights, err);

	if (ret == 0 && !w.rights)
		ret = err_set(err, ERR_MAILBOX, "MYRIGHTS: the server does not tell");
	if (ret < 0) {
		free(w.rights);
		w.rights = NULL;
	}
	*rights = w.rights;
	return ret;
}

int imap_getacl_wait(struct imap_session *s, struct bytes wire_name, struct imap_acl *out,
		     struct err *err)
{
	struct acl_wait w = { .waiter.session = s, .acl = out };
	int ret;

	*out = (struct imap_acl){ 0 };
	ret = get_acl(&w, "GETACL", "ACL", wire_name, on_acl, err);
	if (ret < 0)
		imap_acl_release(out);
	return ret;
}
