/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs of ratrace.bpf.c that see readahead's decisions, and where they attach. */
#ifndef PAGE2CACHE_DECISION_POINTS_BPF_H
#define PAGE2CACHE_DECISION_POINTS_BPF_H

SEC("tp_btf/page_cache_sync_ra")
int BPF_PROG(sync_tp, struct inode *inode, unsigned long index, struct file_ra_state *ra,
	     unsigned long req_pages)
{
	read_ahead(inode, false, RA_SYNC, index, ra, req_pages);
	return 0;
}

SEC("tp/readahead/page_cache_sync_ra")
int sync_classic(struct trace_event_raw_page_cache_ra_op *r)
{
	read_ahead_recorded(r, RA_SYNC);
	return 0;
}

SEC("fentry/page_cache_sync_ra")
int BPF_PROG(sync_fentry, struct readahead_control *ractl, unsigned long req_pages)
{
	read_ahead(ractl->mapping->host, true, RA_SYNC, ractl->_index, ractl->ra, req_pages);
	return 0;
}

SEC("kprobe/page_cache_sync_ra")
int BPF_KPROBE(sync_kprobe, struct readahead_control *ractl, unsigned long req_pages)
{
	read_ahead(BPF_CORE_READ(ractl, mapping, host), false, RA_SYNC,
		   BPF_CORE_READ(ractl, _index), BPF_CORE_READ(ractl, ra), req_pages);
	return 0;
}

SEC("tp_btf/page_cache_async_ra")
int BPF_PROG(async_tp, struct inode *inode, unsigned long index, struct file_ra_state *ra,
	     unsigned long req_pages)
{
	read_ahead(inode, false, RA_ASYNC, index, ra, req_pages);
	return 0;
}

SEC("tp/readahead/page_cache_async_ra")
int async_classic(struct trace_event_raw_page_cache_ra_op *r)
{
	read_ahead_recorded(r, RA_ASYNC);
	return 0;
}

SEC("fentry/page_cache_async_ra")
int BPF_PROG(async_fentry, struct readahead_control *ractl, struct folio *folio,
	     unsigned long req_pages)
{
	read_ahead(ractl->mapping->host, true, RA_ASYNC, ractl->_index, ractl->ra, req_pages);
	return 0;
}

SEC("kprobe/page_cache_async_ra")
int BPF_KPROBE(async_kprobe, struct readahead_control *ractl, struct folio *folio,
	       unsigned long req_pages)
{
	read_ahead(BPF_CORE_READ(ractl, mapping, host), false, RA_ASYNC,
		   BPF_CORE_READ(ractl, _index), BPF_CORE_READ(ractl, ra), req_pages);
	return 0;
}

/* The order is a field of the state in newer kernels, in older ones an argument. */
struct file_ra_state___order {
	unsigned short order;
} __attribute__((preserve_access_index));

static __always_inline __u32 order_of(struct file_ra_state *ra, __u64 argument)
{
	if (bpf_core_field_exists(((struct file_ra_state___order *)0)->order))
		return BPF_CORE_READ((struct file_ra_state___order *)ra, order);
	return argument;
}

SEC("tp_btf/page_cache_ra_order")
int BPF_PROG(order_tp, struct inode *inode, unsigned long index, struct file_ra_state *ra)
{
	read_order(inode, false, index, ra, order_of(ra, 0));
	return 0;
}

SEC("tp/readahead/page_cache_ra_order")
int order_classic(struct trace_event_raw_page_cache_ra_order *r)
{
	struct p2c_window w = { .start = r->index,
				.size = r->size,
				.async_size = r->async_size,
				.order = r->order,
				.ra_pages = r->ra_pages };
	struct inode *inode;
	int slot = named_access(r->i_ino, r->s_dev, &inode);

	if (slot >= 0)
		order_window(slot, (__u64)inode, &w);
	return 0;
}

SEC("fentry/page_cache_ra_order")
int BPF_PROG(order_fentry, struct readahead_control *ractl, struct file_ra_state *ra)
{
	__u64 order = 0;

	bpf_get_func_arg(ctx, 2, &order);
	read_order(ractl->mapping->host, true, ractl->_index, ra, order_of(ra, order));
	return 0;
}

SEC("kprobe/page_cache_ra_order")
int BPF_KPROBE(order_kprobe, struct readahead_control *ractl, struct file_ra_state *ra,
	       unsigned int order)
{
	read_order(BPF_CORE_READ(ractl, mapping, host), false, BPF_CORE_READ(ractl, _index), ra,
		   order_of(ra, order));
	return 0;
}

SEC("tp_btf/page_cache_ra_unbounded")
int BPF_PROG(unbounded_tp, struct inode *inode, unsigned long index, unsigned long nr,
	     unsigned long lookahead)
{
	read_unbounded(access_slot(inode, false), inode, false, index, nr, lookahead, NULL);
	return 0;
}

SEC("tp/readahead/page_cache_ra_unbounded")
int unbounded_classic(struct trace_event_raw_page_cache_ra_unbounded *r)
{
	struct inode *inode = NULL;
	int slot = named_access(r->i_ino, r->s_dev, &inode);

	read_unbounded(slot, inode, false, r->index, r->nr_to_read, r->lookahead_size, NULL);
	return 0;
}

SEC("fentry/page_cache_ra_unbounded")
int BPF_PROG(unbounded_fentry, struct readahead_control *ractl, unsigned long nr,
	     unsigned long lookahead)
{
	struct inode *inode = ractl->mapping->host;

	read_unbounded(access_slot(inode, true), inode, true, ractl->_index, nr, lookahead,
		       ractl->ra);
	return 0;
}

SEC("kprobe/page_cache_ra_unbounded")
int BPF_KPROBE(unbounded_kprobe, struct readahead_control *ractl, unsigned long nr,
	       unsigned long lookahead)
{
	struct inode *inode = BPF_CORE_READ(ractl, mapping, host);

	read_unbounded(access_slot(inode, false), inode, false, BPF_CORE_READ(ractl, _index), nr,
		       lookahead, BPF_CORE_READ(ractl, ra));
	return 0;
}

#endif
