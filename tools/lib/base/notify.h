/* SPDX-License-Identifier: GPL-2.0-only */
/* What a service tells systemd (sd_notify(3)). */
#ifndef PAGE2CACHE_NOTIFY_H
#define PAGE2CACHE_NOTIFY_H

/*
 * Tell the service manager that this process is ready, so that what waits for it may start
 * (Type=notify). Does nothing without the variable NOTIFY_SOCKET.
 */
void notify_ready(void);

#endif
