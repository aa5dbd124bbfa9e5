/* Whether a Maildir made by a backup holds exactly what an account on 127.0.0.1 holds. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/archive.h"
#include "tests/lib/imap_oracle.h"

int main(int argc, char **argv)
{
	struct oracle *o;

	if (argc != 4) {
		fputs("usage: same-as-server PORT USER MAILDIR\n", stderr);
		return 2;
	}
	o = oracle_open(atoi(argv[1]), argv[2]);
	archive_equals(argv[3], o); /* ends the program when they differ */
	oracle_close(o);
	return 0;
}
