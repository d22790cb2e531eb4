; A pool of memory blocks: large results and workspaces are reused while their pages are still mapped
; and warm, because the first touch of a fresh page costs more than most arithmetic done in it.
;
; A block is a header and, right behind it, the aligned memory callers see. Capacities come in four
; steps per power of two; each has a list of idle blocks. One spinlock guards the lists; system calls
; are made outside it. buffers.py gives the numbers for the $names.

@lists = internal global [256 x ptr] zeroinitializer
@idle_bytes = internal global i64 0
@limit = internal global i64 0
@lock = internal global i32 0
@acquired = internal global i64 0
@reused = internal global i64 0

declare ptr @malloc(i64)
declare void @free(ptr)
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i32 @madvise(ptr, i64, i32)
declare i32 @sched_yield()
declare i64 @llvm.ctlz.i64(i64, i1)
declare {i64, i1} @llvm.umul.with.overflow.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal void @take_lock() {
start:
  br label %try
try:
  %exchanged = cmpxchg ptr @lock, i32 0, i32 1 acquire monotonic
  %taken = extractvalue {i32, i1} %exchanged, 1
  br i1 %taken, label %done, label %wait
wait:
  %ignored = call i32 @sched_yield()
  br label %try
done:
  ret void
}

define internal void @give_lock() {
  store atomic i32 0, ptr @lock release, align 4
  ret void
}

; At least %bytes bytes: 64-byte aligned, page-aligned from $map_from bytes on, aligned to huge pages
; when as large as that. Null: no memory.
define ptr @tj_acquire(i64 %bytes) {
start:
  %absurd = icmp ugt i64 %bytes, $most_bytes
  br i1 %absurd, label %none, label %size
none:
  ret ptr null
size:
  ; The top three bits of (bytes - 1), plus one, at their place: 4..8 quarters of a power of two.
  %small = icmp ult i64 %bytes, $least_bytes
  %wanted = select i1 %small, i64 $least_bytes, i64 %bytes
  %last = sub i64 %wanted, 1
  %zeros = call i64 @llvm.ctlz.i64(i64 %last, i1 true)
  %exponent = sub i64 63, %zeros
  %shift = sub i64 %exponent, 2
  %quarters = lshr i64 %last, %shift
  %step = add i64 %quarters, 1
  %capacity = shl i64 %step, %shift
  %step.index = and i64 %quarters, 3
  %exponent.index = shl i64 %exponent, 2
  %index = or i64 %exponent.index, %step.index
  %list = getelementptr ptr, ptr @lists, i64 %index
  call void @take_lock()
  %acquired = load i64, ptr @acquired
  %acquired.more = add i64 %acquired, 1
  store i64 %acquired.more, ptr @acquired
  %header = load ptr, ptr %list
  %empty = icmp eq ptr %header, null
  br i1 %empty, label %fresh, label %reuse
fresh:
  call void @give_lock()
  %new = call ptr @create(i64 %capacity, ptr %list)
  ret ptr %new
reuse:
  %next = load ptr, ptr %header[header.next]
  store ptr %next, ptr %list
  %idle = load i64, ptr @idle_bytes
  %idle.less = sub i64 %idle, %capacity
  store i64 %idle.less, ptr @idle_bytes
  %reused = load i64, ptr @reused
  %reused.more = add i64 %reused, 1
  store i64 %reused.more, ptr @reused
  call void @give_lock()
  ret ptr %header[header.size]
}

; A new block from the system. Large ones are mapped, so that they can be given back at any time.
define internal ptr @create(i64 %capacity, ptr %list) {
start:
  %mapped = icmp uge i64 %capacity, $map_from
  %huge = icmp uge i64 %capacity, $huge_from
  %page = select i1 %huge, i64 $huge_page, i64 $page
  %alignment = select i1 %mapped, i64 %page, i64 $line
  %room = add i64 %alignment, $header.size
  %total = add i64 %capacity, %room
  br i1 %mapped, label %map, label %heap
map:
  %pages = call ptr @mmap(ptr null, i64 %total, i32 $map.protection, i32 $map.flags, i32 -1, i64 0)
  %failed = icmp eq ptr %pages, inttoptr (i64 -1 to ptr)
  br i1 %failed, label %none, label %place
heap:
  %allocated = call ptr @malloc(i64 %total)
  %exhausted = icmp eq ptr %allocated, null
  br i1 %exhausted, label %none, label %place
none:
  ret ptr null
place:
  %base = phi ptr [%pages, %map], [%allocated, %heap]
  %base.number = ptrtoint ptr %base to i64
  %above = add i64 %base.number, %room
  %above.last = sub i64 %above, 1
  %mask = sub i64 0, %alignment
  %memory.number = and i64 %above.last, %mask
  %memory = inttoptr i64 %memory.number to ptr
  %header = getelementptr i8, ptr %memory, i64 $header.before
  store ptr null, ptr %header[header.next]
  store ptr %list, ptr %header[header.list]
  store i64 %capacity, ptr %header[header.capacity]
  store ptr %base, ptr %header[header.base]
  store i64 %total, ptr %header[header.total]
  br i1 %huge, label %advise, label %done
advise:
  %ignored = call i32 @madvise(ptr %memory, i64 %capacity, i32 $madvise.huge)
  br label %done
done:
  ret ptr %memory
}

define internal void @destroy(ptr %header) {
start:
  %base = load ptr, ptr %header[header.base]
  %total = load i64, ptr %header[header.total]
  %capacity = load i64, ptr %header[header.capacity]
  %mapped = icmp uge i64 %capacity, $map_from
  br i1 %mapped, label %unmap, label %heap
unmap:
  %ignored = call i32 @munmap(ptr %base, i64 %total)
  ret void
heap:
  call void @free(ptr %base)
  ret void
}

; Give a block back. The size is in its header; %bytes only documents the call. When the idle blocks
; together would exceed the limit, others go first, the largest ones foremost.
define void @tj_release(ptr %memory, i64 %bytes) {
start:
  %header = getelementptr i8, ptr %memory, i64 $header.before
  %capacity = load i64, ptr %header[header.capacity]
  %list = load ptr, ptr %header[header.list]
  %limit = load i64, ptr @limit
  %hopeless = icmp ugt i64 %capacity, %limit
  br i1 %hopeless, label %discard, label %try
discard:
  call void @destroy(ptr %header)
  ret void
try:
  call void @take_lock()
  %idle = load i64, ptr @idle_bytes
  %idle.more = add i64 %idle, %capacity
  %fits = icmp ule i64 %idle.more, %limit
  br i1 %fits, label %keep, label %evict
keep:
  %next = load ptr, ptr %list
  store ptr %next, ptr %header[header.next]
  store ptr %header, ptr %list
  store i64 %idle.more, ptr @idle_bytes
  call void @give_lock()
  ret void
evict:
  %victim = call ptr @pop()
  call void @give_lock()
  %none = icmp eq ptr %victim, null
  br i1 %none, label %discard, label %destroy_victim
destroy_victim:
  call void @destroy(ptr %victim)
  br label %try
}

; The largest idle block, off its list, or null; call under the lock.
define internal ptr @pop() {
start:
  br label %test
test:
  %index = phi i64 [255, %start], [%lower, %empty]
  %list = getelementptr ptr, ptr @lists, i64 %index
  %header = load ptr, ptr %list
  %none = icmp eq ptr %header, null
  br i1 %none, label %empty, label %found
empty:
  %lower = sub i64 %index, 1
  %more = icmp sge i64 %lower, 0
  br i1 %more, label %test, label %nothing
nothing:
  ret ptr null
found:
  %next = load ptr, ptr %header[header.next]
  store ptr %next, ptr %list
  %capacity = load i64, ptr %header[header.capacity]
  %idle = load i64, ptr @idle_bytes
  %idle.less = sub i64 %idle, %capacity
  store i64 %idle.less, ptr @idle_bytes
  ret ptr %header
}

; Give idle blocks back to the system, the largest first, until at most %bytes of them are left.
define internal void @shrink(i64 %bytes) {
start:
  br label %again
again:
  call void @take_lock()
  %idle = load i64, ptr @idle_bytes
  %enough = icmp ule i64 %idle, %bytes
  br i1 %enough, label %done, label %one
done:
  call void @give_lock()
  ret void
one:
  %header = call ptr @pop()
  call void @give_lock()
  call void @destroy(ptr %header)
  br label %again
}

define void @tj_pool_clear() {
  call void @shrink(i64 0)
  ret void
}

define void @tj_pool_limit(i64 %bytes) {
  store i64 %bytes, ptr @limit
  call void @shrink(i64 %bytes)
  ret void
}

; Idle bytes, limit, blocks handed out so far, how many of those were reused.
define void @tj_pool_info(ptr %numbers) {
  call void @take_lock()
  %idle = load i64, ptr @idle_bytes
  %limit = load i64, ptr @limit
  %acquired = load i64, ptr @acquired
  %reused = load i64, ptr @reused
  call void @give_lock()
  store i64 %idle, ptr %numbers
  store i64 %limit, ptr %numbers[8]
  store i64 %acquired, ptr %numbers[16]
  store i64 %reused, ptr %numbers[24]
  ret void
}

; In a forked child: if another thread held the lock, the lists may be torn, so forget them.
define void @tj_pool_after_fork() {
start:
  %held = load i32, ptr @lock
  %sound = icmp eq i32 %held, 0
  br i1 %sound, label %done, label %reset
reset:
  call void @llvm.memset.p0.i64(ptr @lists, i8 0, i64 2048, i1 false)
  store i64 0, ptr @idle_bytes
  call void @give_lock()
  br label %done
done:
  ret void
}

define ptr @tj_numpy_malloc(ptr %context, i64 %bytes) {
  %memory = call ptr @tj_acquire(i64 %bytes)
  ret ptr %memory
}

define ptr @tj_numpy_calloc(ptr %context, i64 %count, i64 %size) {
start:
  %product = call {i64, i1} @llvm.umul.with.overflow.i64(i64 %count, i64 %size)
  %bytes = extractvalue {i64, i1} %product, 0
  %overflow = extractvalue {i64, i1} %product, 1
  br i1 %overflow, label %none, label %acquire
acquire:
  %memory = call ptr @tj_acquire(i64 %bytes)
  %exhausted = icmp eq ptr %memory, null
  br i1 %exhausted, label %none, label %clear
clear:
  call void @llvm.memset.p0.i64(ptr %memory, i8 0, i64 %bytes, i1 false)
  ret ptr %memory
none:
  ret ptr null
}

; Moves when the block is too small, or more than four times too large.
define ptr @tj_numpy_realloc(ptr %context, ptr %memory, i64 %bytes) {
start:
  %absent = icmp eq ptr %memory, null
  br i1 %absent, label %fresh, label %measure
fresh:
  %new = call ptr @tj_acquire(i64 %bytes)
  ret ptr %new
measure:
  %header = getelementptr i8, ptr %memory, i64 $header.before
  %capacity = load i64, ptr %header[header.capacity]
  %quarter = lshr i64 %capacity, 2
  %enough = icmp ule i64 %bytes, %capacity
  %modest = icmp uge i64 %bytes, %quarter
  %fits = and i1 %enough, %modest
  br i1 %fits, label %stay, label %move
stay:
  ret ptr %memory
move:
  %moved = call ptr @tj_acquire(i64 %bytes)
  %exhausted = icmp eq ptr %moved, null
  br i1 %exhausted, label %none, label %copy
none:
  ret ptr null
copy:
  %kept = select i1 %enough, i64 %bytes, i64 %capacity
  call void @llvm.memcpy.p0.p0.i64(ptr %moved, ptr %memory, i64 %kept, i1 false)
  call void @tj_release(ptr %memory, i64 %capacity)
  ret ptr %moved
}

define void @tj_numpy_free(ptr %context, ptr %memory, i64 %bytes) {
start:
  %absent = icmp eq ptr %memory, null
  br i1 %absent, label %done, label %release
release:
  call void @tj_release(ptr %memory, i64 %bytes)
  br label %done
done:
  ret void
}
