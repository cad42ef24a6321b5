# SPDX-License-Identifier: GPL-2.0-only
"""Samples of perf, sorted into the stages of the page cache's work."""
import bisect
import collections
import fnmatch
import functools
import re
import subprocess

# Stages in the order in which a read comes to them. A sample belongs to the innermost function of its
# call chain that is listed here: functions that serve every stage (locks, xas_*, memcpy) count for
# their callers. Of two patterns for a function the longer one counts.
USER, OTHER, IDLE, PROGRAM = "user space", "kernel, other", "idle", "BPF program"
STAGES = {
    "start, mappings": """load_elf_binary bprm_* begin_new_exec do_exit mmput exit_mmap do_mmap
        vm_mmap_pgoff do_vmi_* __vm_munmap unmap_page_range mprotect_fixup __do_sys_mlockall
        copy_process move_vma""",
    "system call, file": """entry_SYSCALL_* do_syscall_64 x64_sys_call __x64_sys_* ksys_* vfs_*
        rw_verify_area security_* ext4_file_read_iter xfs_file_*read* btrfs_file_read_iter
        generic_file_read_iter touch_atime atime_needs_update""",
    "page fault": """asm_exc_page_fault exc_page_fault handle_mm_fault do_fault __do_fault
        filemap_fault do_anonymous_page do_wp_page lock_vma_under_rcu finish_fault""",
    "lookup": """filemap_read filemap_get_pages filemap_get_read_batch filemap_get_entry
        __filemap_get_folio* filemap_map_pages next_uptodate_folio set_pte_range
        folio_mark_accessed filemap_update_page""",
    "copy": """copy_page_to_iter copy_folio_to_iter _copy_to_iter copy_to_user* _copy_to_user
        rep_movs_* copyout copy_mc_*""",
    "readahead": """page_cache_sync_ra page_cache_async_ra page_cache_ra_* do_page_cache_ra
        force_page_cache_ra filemap_readahead do_sync_mmap_readahead ondemand_readahead read_pages
        readahead_expand generic_fadvise filemap_read_folio""",
    "new pages": """filemap_add_folio __filemap_add_folio filemap_alloc_folio* folio_alloc*
        vma_alloc_folio* alloc_pages* __alloc_pages* __alloc_frozen_pages* get_page_from_freelist
        clear_page_* __mem_cgroup_charge charge_memcg folio_add_lru folio_batch_move_lru
        __folio_batch_add_and_move lru_add* folio_add_file_rmap_*""",
    "file system": """ext4_readahead ext4_mpage_readpages ext4_read_folio ext4_map_blocks ext4_es_*
        __check_block_validity iomap_readahead* iomap_read_folio* iomap_iter xfs_read_iomap_*
        xfs_bmapi_* xfs_vm_readahead btrfs_readahead btrfs_get_extent btrfs_do_readpage*
        mpage_readahead do_mpage_readpage""",
    "block layer": """submit_bio* __submit_bio* bio_* blk_* __blk_* elv_* dd_* bfq_* sbitmap_*
        __sbitmap_* rq_qos_* __rq_qos_* wbt_* blkcg_* dm_* md_*""",
    "driver": "virtio_* virtblk_* virtqueue_* vring_* vp_notify iowrite* nvme_* scsi_* sd_* ata_*",
    "I/O completion": """blk_done_softirq blk_complete_reqs blk_mq_complete_request*
        blk_update_request blk_mq_end_request* __blk_mq_end_request bio_endio mpage_end_io
        __read_end_io ext4_end_bio iomap_read_end_io btrfs_end_bio* folio_end_read folio_unlock
        folio_wake_bit virtblk_done virtblk_request_done nvme_irq nvme_complete_*
        nvme_pci_complete_*""",
    "wait, wake": """folio_wait_bit* io_schedule schedule __schedule finish_task_switch
        exit_to_user_mode_loop try_to_wake_up wake_up_* ttwu_* futex_*""",
    "eviction": """__filemap_remove_folio filemap_remove_folio delete_from_page_cache_batch
        truncate_inode_* truncate_folio_* invalidate_* mapping_evict_folio remove_mapping shrink_*
        folios_put_refs release_pages free_unref_* __free_frozen_pages""",
    "interrupts": """sysvec_* asm_sysvec_* common_interrupt asm_common_interrupt handle_softirqs
        __do_softirq __irq_exit_rcu irq_exit_rcu""",
    "BPF entry": """bpf_trace_run* __bpf_trace_* __traceiter_* bpf_trampoline_* __bpf_prog_*
        perf_trace_* trace_call_bpf kprobe_* kretprobe_* ftrace_* uprobe_*""",
    # A name with a tag of 16 digits; bpf_prog_load and the like are the kernel's.
    PROGRAM: "bpf_prog_" + 16 * "[0-9a-f]" + "_* ___bpf_prog_run*",
    "BPF loading": "__sys_bpf",
    IDLE: "do_idle cpu_startup_entry cpuidle_* *default_idle* *_safe_halt intel_idle* acpi_idle*",
}
ORDER = [USER, *STAGES, OTHER]
PATTERNS = sorted(((p, stage) for stage, words in STAGES.items() for p in words.split()),
                  key=lambda row: -len(row[0]))
KERNEL = 1 << 63  # the kernel's half of the addresses begins here

Frame = collections.namedtuple("Frame", "address symbol")


@functools.lru_cache(None)
def listed(symbol):
    """The stage of a function, None if it is not listed. Compilers append to names: ".isra.0"."""
    name = symbol.split(".", 1)[0]
    return next((stage for p, stage in PATTERNS if fnmatch.fnmatchcase(name, p)), None)


def stage_of(chain):
    """The stage of a sample, and the function that it is listed for."""
    if chain[0].address < KERNEL:
        return USER, None
    found = ((listed(frame.symbol), frame) for frame in chain if frame.address >= KERNEL)
    return next((f for f in found if f[0]), (OTHER, None))


def samples(data):
    """(weight, command, chain) of each sample in perf's data, the innermost frame first. The weight
    is the amount of the event since the sample before."""
    command = ["perf", "script", "-i", data, "--no-inline", "-F", "comm,tid,period,ip,sym"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, errors="replace") as perf:
        head, chain = None, []
        for line in perf.stdout:
            if line.startswith("\t"):
                address, _, symbol = line.strip().partition(" ")
                chain.append(Frame(int(address, 16), symbol))
            elif line.strip():
                head = re.match(r"(.*\S)\s+\d+\s+(\d+)\s*$", line)
            elif head and chain:
                yield int(head[2]), head[1].strip(), chain
                head, chain = None, []


class Profile:
    """The samples of an arm, over all its runs: microseconds by stage, by function and its stage,
    by BPF program (with what it calls), and by instruction of BPF functions."""

    def __init__(self, bpf_functions):
        self.runs = 0
        self.stage, self.function = collections.Counter(), collections.Counter()
        self.program, self.offset = collections.Counter(), collections.Counter()
        self.number = collections.Counter()  # how many samples in all, of a stage, of a function
        self.bpf = sorted(bpf_functions, key=lambda f: f.start)
        self.starts = [f.start for f in self.bpf]

    def bpf_at(self, address):
        """Names BPF programs: perf knows only those that were loaded before it."""
        at = bisect.bisect_right(self.starts, address) - 1
        found = self.bpf[at] if at >= 0 else None
        return found if found and address < found.start + found.size else None

    def named(self, frame):
        function = self.bpf_at(frame.address)
        return Frame(frame.address, function.name) if function else frame

    def add(self, data, cpu_us):
        """Adds the samples of a run, which stand for its CPU time."""
        found = []
        for weight, command, chain in samples(data):
            chain = [self.named(frame) for frame in chain]
            stage, frame = stage_of(chain)
            if stage != IDLE:
                found.append((weight, command, chain[0], stage, frame))
        total = sum(f[0] for f in found)
        self.runs += 1
        for weight, command, leaf, stage, frame in found:
            us = weight * cpu_us / total
            function = (f"{leaf.symbol} ({command})" if stage == USER else leaf.symbol, stage)
            self.stage[stage] += us
            self.function[function] += us
            self.number.update((None, stage, function))
            if stage == PROGRAM:
                called = self.bpf_at(frame.address)
                self.program[called.program.id if called else frame.symbol] += us
                if called and frame is leaf:
                    self.offset[called.name, frame.address - called.start] += us
