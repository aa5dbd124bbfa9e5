/* Run a program and append one line to a file: milliseconds, largest resident KB, exit status. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"

int main(int argc, char **argv)
{
	int64_t begin = clock_ms();
	struct rusage use;
	int raw, status;
	FILE *out;
	pid_t pid;

	if (argc < 3) {
		fputs("usage: measure FILE PROGRAM [ARG]...\n", stderr);
		return 2;
	}
	pid = fork();
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &raw, 0, &use) != pid) {
		perror("measure");
		return 1;
	}
	status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
	out = fopen(argv[1], "a");
	if (!out || fprintf(out, "%lld %ld %d\n", (long long)(clock_ms() - begin), use.ru_maxrss,
			    status) < 0 || fclose(out) != 0) {
		perror(argv[1]);
		return 1;
	}
	return status;
}
