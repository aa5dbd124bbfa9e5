#include "cmd/account.h"

#include <stdlib.h>

#include "core/base/mem.h"

#include "cmd/config.h"

void account_init(struct account *a, const struct config_account *ac, bool dry_run)
{
	*a = (struct account){ .password.account = ac };
	if (ac->port)
		a->port = xasprintf("%lld", (long long)ac->port);
	a->imap = (struct imap_account){
		.name = ac->head.name,
		.host = ac->host,
		.port = a->port,
		.tls = (enum imap_tls)ac->tls,
		.tls_ca_file = ac->tls_ca_file,
		.tls_pin = ac->tls_pin,
		.tls_client_cert = ac->tls_client_cert,
		.tls_client_key = ac->tls_client_key,
		.user = ac->user,
		.authzid = ac->authzid,
		.auth = (enum imap_auth)ac->auth,
		.password = password_get,
		.password_ctx = &a->password,
		.token = ac->token_command ? token_get : NULL,
		.token_ctx = &a->password,
		.tunnel = ac->tunnel,
		.timeout_ms = ac->timeout * 1000,
		.connections = (unsigned)ac->connections,
		.compress = (enum imap_compress)ac->compress,
		.disable_extensions = ac->disable_extensions,
	};
	/* What the end of a tunnel may offer is for its command to vouch for. */
	if (ac->tunnel)
		return;
	login_memory_init(&a->memory, ac, dry_run);
	a->imap.recall = login_memory_recall;
	a->imap.remember = login_memory_note;
	a->imap.memory_ctx = &a->memory;
}

void account_release(struct account *a)
{
	password_release(&a->password);
	login_memory_release(&a->memory);
	free(a->port);
}
