#include <stdio.h>
#include <strings.h>

#include "cmd/config.h"
#include "cmd/imap_cli.h"

const struct imap_sub *const imap_subs[] = {
	&sub_append, &sub_capability, &sub_catenate, &sub_check, &sub_close, &sub_compress, &sub_copy,
	&sub_create, &sub_delete, &sub_enable, &sub_examine, &sub_expunge, &sub_fetch,
	&sub_getacl, &sub_getquota, &sub_getquotaroot, &sub_id, &sub_idle, &sub_list, &sub_logout,
	&sub_lsub, &sub_move, &sub_myrights, &sub_namespace, &sub_noop, &sub_notify, &sub_rename, &sub_replace,
	&sub_search, &sub_select, &sub_status, &sub_store, &sub_subscribe,
	&sub_unauthenticate, &sub_unselect, &sub_unsubscribe, &sub_xatom, NULL,
};

const struct imap_sub *imap_sub_find(const char *name)
{
	for (size_t i = 0; imap_subs[i]; i++)
		if (strcasecmp(imap_subs[i]->name, name) == 0)
			return imap_subs[i];
	return NULL;
}

const char *imap_sub_nearest(const char *wrong)
{
	const char *words[sizeof(imap_subs) / sizeof(imap_subs[0])];
	size_t n = 0;

	for (; imap_subs[n]; n++)
		words[n] = imap_subs[n]->name;
	return nearest_word(wrong, words, n);
}

void imap_subs_show(void)
{
	puts("\nIMAP commands ('mailcask imap help NAME' has an example of each):");
	for (size_t i = 0; imap_subs[i]; i++)
		printf("  %-15s %s\n", imap_subs[i]->name, imap_subs[i]->summary);
}

void imap_sub_show(const struct imap_sub *sub)
{
	printf("usage: mailcask imap ACCOUNT %s%s%s\n\n%s\n\nexample:\n  mailcask imap work %s\n",
	       sub->name, *sub->args ? " " : "", sub->args, sub->summary, sub->example);
}
