// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/util.h"

static const char ready[] = "READY=1";

/*
 * NAME is a path, or @ and a name that is in no file system. Returns the address's length, 0 if
 * NAME is neither.
 */
static socklen_t set_address(struct sockaddr_un *to, const char *name)
{
	size_t len = strlen(name);

	if ((*name != '/' && *name != '@') || len < 2 || len >= sizeof(to->sun_path))
		return 0;
	to->sun_family = AF_UNIX;
	memcpy(to->sun_path, name, len);
	if (*name == '@')
		to->sun_path[0] = 0;
	return offsetof(struct sockaddr_un, sun_path) + len;
}

void notify_ready(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { 0 };
	socklen_t len;
	int fd;

	if (!name || !*name)
		return;
	len = set_address(&to, name);
	fd = len ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	/* Do not block: a manager that does not read must not delay this process. */
	if (!len)
		say("NOTIFY_SOCKET: must be a path or @NAME: '%s'", name);
	else if (fd < 0 || sendto(fd, ready, strlen(ready), MSG_DONTWAIT | MSG_NOSIGNAL,
				  (struct sockaddr *)&to, len) < 0)
		say("NOTIFY_SOCKET: %s: %s", name, strerror(errno));
	if (fd >= 0)
		close(fd);
}
