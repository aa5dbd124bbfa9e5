#include "tests/lib/serving.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tests/lib/support.h"

void serving_begin(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigprocmask(SIG_BLOCK, set, NULL);
}

void serving_wait(const sigset_t *set)
{
	struct pollfd p[] = { { .fd = 0, .events = POLLIN },
			      { .fd = signalfd(-1, set, SFD_CLOEXEC), .events = POLLIN } };
	char byte;

	if (p[1].fd < 0)
		test_die_sys("signalfd");
	do
		poll(p, 2, -1);
	while (!p[1].revents && (!p[0].revents || read(0, &byte, 1) > 0));
	close(p[1].fd);
}
