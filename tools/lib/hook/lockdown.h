/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel forbids root, too: lockdown, which Secure Boot switches on, and its relatives. */
#ifndef PAGE2CACHE_LOCKDOWN_H
#define PAGE2CACHE_LOCKDOWN_H

#include <stdbool.h>

#define LOCKDOWN_FILE "/sys/kernel/security/lockdown"

/* Is lockdown in this mode, `integrity` or `confidentiality`? */
bool lockdown_is(const char *mode);
/* Why no module can be loaded that the kernel's builder has not signed; to be freed. NULL: it can. */
char *unsigned_module_refused(void);

#endif
