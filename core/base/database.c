#include "core/base/database.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

bool database_is_remote(const char *path)
{
	static const unsigned long remote[] = {
		0x6969,     /* NFS */
		0xff534d42, /* CIFS */
		0xfe534d42, /* SMB2 */
		0x517b,     /* SMB */
		0x65735546, /* FUSE: sshfs and others */
		0x01021997, /* 9p */
	};
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if (((unsigned long)fs.f_type & 0xffffffff) == remote[i])
			return true;
	return false;
}

static bool has_log(const char *path)
{
	char *wal = xasprintf("%s-wal", path);
	struct stat sb;
	bool pending = lstat(wal, &sb) == 0 && sb.st_size > 0;

	free(wal);
	return pending;
}

char *database_read_only_uri(const char *path)
{
	struct buf uri = BUF_INIT(SIZE_MAX / 4);

	buf_add_str(&uri, "file:");
	for (const char *p = path; *p; p++) {
		if (strchr("?#%", *p))
			buf_addf(&uri, "%%%02X", (unsigned)(uint8_t)*p);
		else
			buf_add_byte(&uri, (uint8_t)*p);
	}
	if (!has_log(path))
		buf_add_str(&uri, "?immutable=1");
	return buf_take(&uri);
}
