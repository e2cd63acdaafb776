/*
 * stopwatch REPORT COMMAND [ARGUMENT...]: runs a command and writes to REPORT its wall-clock time, from fork to exit, in
 * microseconds, its CPU time in microseconds, and its peak resident memory in KiB. This is a small process of its own,
 * because a child's peak starts at its parent's resident memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long microseconds(struct timespec t)
{
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	struct timespec begin, end;
	struct rusage used;
	int status;

	if (argc < 3)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	pid_t child = fork();
	if (child < 0)
		return 2;
	if (child == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (wait4(child, &status, 0, &used) < 0)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &end);
	FILE *report = fopen(argv[1], "w");
	if (!report)
		return 2;
	fprintf(report, "%ld %ld %ld\n", microseconds(end) - microseconds(begin),
		used.ru_utime.tv_sec * 1000000L + used.ru_utime.tv_usec + used.ru_stime.tv_sec * 1000000L +
			used.ru_stime.tv_usec,
		used.ru_maxrss);
	fclose(report);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
