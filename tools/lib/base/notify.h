/* SPDX-License-Identifier: GPL-2.0-only */
/* What a service tells systemd (sd_notify(3)). */
#ifndef PAGE2CACHE_NOTIFY_H
#define PAGE2CACHE_NOTIFY_H

/*
 * This process is ready: what waits for it may start (Type=notify). Nothing where nobody has asked
 * for that by the variable NOTIFY_SOCKET.
 */
void notify_ready(void);

#endif
