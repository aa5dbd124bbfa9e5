/*
 * Put a slow line before a server of 127.0.0.1: print the port to connect to as a shell variable, close
 * stdout, and stop when stdin ends or a signal asks for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/relay.h"
#include "tests/lib/serving.h"

int main(int argc, char **argv)
{
	struct relay_opts opts = { 0 };
	struct relay *relay;
	FILE *told;
	sigset_t set;

	if (argc == 3) {
		opts.port = atoi(argv[1]);
		opts.delay_ms = atoi(argv[2]);
	}
	if (opts.port <= 0 || opts.delay_ms < 0) {
		fputs("usage: relay-run PORT DELAY_MS\n"
		      "A round trip takes twice the delay.\n", stderr);
		return 2;
	}
	serving_begin(&set);
	/* The relay is a process of its own, which must not keep our stdout open. */
	told = fdopen(dup(STDOUT_FILENO), "w");
	if (!told || !freopen("/dev/null", "w", stdout))
		return 1;
	relay = relay_start(&opts);
	fprintf(told, "RELAY_PORT=%d\n", relay_port(relay));
	fclose(told);
	serving_wait(&set);
	relay_stop(relay);
	return 0;
}
