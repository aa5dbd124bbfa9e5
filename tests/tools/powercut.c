/* Cut the power of a file system (ext4): what was not synced is lost, what comes later fails. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 2u

int main(int argc, char **argv)
{
	uint32_t how = EXT4_GOING_FLAGS_NOLOGFLUSH;
	int fd;

	if (argc != 2) {
		fputs("usage: powercut MOUNTPOINT\n", stderr);
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &how) < 0) {
		perror(argv[1]);
		return 1;
	}
	close(fd);
	return 0;
}
