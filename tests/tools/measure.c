/*
 * Run a program and append one line to a file: milliseconds, largest resident KB, exit status, milliseconds of
 * processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms_of(struct timeval t)
{
	return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

int main(int argc, char **argv)
{
	double begin = now_ms();
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
	if (!out || fprintf(out, "%.3f %ld %d %.3f\n", now_ms() - begin, use.ru_maxrss, status,
			    ms_of(use.ru_utime) + ms_of(use.ru_stime)) < 0 || fclose(out) != 0) {
		perror(argv[1]);
		return 1;
	}
	return status;
}
