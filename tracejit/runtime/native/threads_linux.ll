; The thread pool's platform part for Linux: futex and pthread.

declare i64 @syscall(i64, ...)
declare i32 @clock_gettime(i32, ptr)
declare i32 @sched_yield()
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @pthread_setaffinity_np(i64, i64, ptr)
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_getcpu()

; Every signal (sigset_t has 1024 bits) except those a thread raises itself: ILL, TRAP, ABRT, BUS,
; FPE, SEGV (4, 5, 6, 7, 8, 11). Workers block them, so that Ctrl-C reaches one of Python's threads.
@blocked = internal constant [16 x i64] [i64 -1273, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1,
  i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1, i64 -1]

define internal i64 @clock() {
entry:
  %time = alloca { i64, i64 }, align 8
  %status = call i32 @clock_gettime(i32 1, ptr %time) ; CLOCK_MONOTONIC
  %seconds = load i64, ptr %time, align 8
  %fraction_at = getelementptr i8, ptr %time, i64 8
  %fraction = load i64, ptr %fraction_at, align 8
  %in_nanoseconds = mul i64 %seconds, 1000000000
  %nanoseconds = add i64 %in_nanoseconds, %fraction
  ret i64 %nanoseconds
}

define internal void @yield() {
entry:
  %r = call i32 @sched_yield()
  ret void
}

; Sleep while the word is as expected; may return early.
define internal void @park(ptr %word, i32 %expected) noinline {
entry:
  ; FUTEX_WAIT_PRIVATE
  %r = call i64 (i64, ...) @syscall(i64 FUTEX_CALL, ptr %word, i32 128, i32 %expected, ptr null)
  ret void
}

; The same, for no longer than 20 ms.
define internal void @nap(ptr %word, i32 %expected) noinline {
entry:
  %most = alloca { i64, i64 }, align 8
  store { i64, i64 } { i64 0, i64 20000000 }, ptr %most, align 8
  %r = call i64 (i64, ...) @syscall(i64 FUTEX_CALL, ptr %word, i32 128, i32 %expected, ptr %most)
  ret void
}

define internal void @unpark(ptr %word, i32 %count) noinline {
entry:
  ; FUTEX_WAKE_PRIVATE
  %r = call i64 (i64, ...) @syscall(i64 FUTEX_CALL, ptr %word, i32 129, i32 %count)
  ret void
}

define internal void @prepare() {
entry:
  ret void
}

@handles = internal global [1024 x i64] zeroinitializer, align 8
@kept_to = internal global [16 x i64] zeroinitializer, align 8 ; the processors workers are kept to
@avoided = internal global i32 -1, align 4 ; the one they are kept from, where their caller was
@spread_at = internal global i64 0, align 8 ; when that was found to be elsewhere

; Keep the workers to the processors the caller may use, without the one it is on.
;
; Left to itself the system may wake a worker on its caller's processor: a virtual machine's idle
; processors do not count as idle where the host reports them as preempted (measured: two threads
; took the time of one, for milliseconds); on a busy machine it moves a caller to where its worker
; waits, too. A caller that has one processor only says nothing about
; its workers, and refusals are harmless. limit: nothing is done beyond 1024 processors.
define internal void @spread(i64 %workers) noinline {
entry:
  %set = alloca [16 x i64], align 8
  store i1024 0, ptr %set, align 8
  %status = call i32 @sched_getaffinity(i32 0, i64 128, ptr %set)
  %processor = call i32 @sched_getcpu()
  %is_known = icmp eq i32 %status, 0
  %is_in_set = icmp ult i32 %processor, 1024
  %is_sound = and i1 %is_known, %is_in_set
  br i1 %is_sound, label %exclude, label %done
exclude:
  store i32 %processor, ptr @avoided, align 4
  %place = lshr i32 %processor, 3
  %at = getelementptr i8, ptr %set, i32 %place
  %old = load i8, ptr %at, align 1
  %low = and i32 %processor, 7
  %low_8 = trunc i32 %low to i8
  %bit = shl i8 1, %low_8
  %others = xor i8 %bit, -1
  %new = and i8 %old, %others
  store i8 %new, ptr %at, align 1
  %wanted = load i1024, ptr %set, align 8
  %present = load i1024, ptr @kept_to, align 8
  %is_empty = icmp eq i1024 %wanted, 0
  %is_same = icmp eq i1024 %wanted, %present
  %is_idle = or i1 %is_empty, %is_same
  br i1 %is_idle, label %done, label %begin
begin:
  store i1024 %wanted, ptr @kept_to, align 8
  br label %each
each:
  %worker = phi i64 [ 0, %begin ], [ %next, %tell ]
  %is_left = icmp ult i64 %worker, %workers
  br i1 %is_left, label %tell, label %done
tell:
  %handle_at = getelementptr i64, ptr @handles, i64 %worker
  %handle = load i64, ptr %handle_at, align 8
  %r = call i32 @pthread_setaffinity_np(i64 %handle, i64 128, ptr %set)
  %next = add i64 %worker, 1
  br label %each
done:
  ret void
}

; The same where the caller has moved since; at most every millisecond, as callers may be many.
define internal void @keep_apart(i64 %workers) {
entry:
  %processor = call i32 @sched_getcpu()
  %avoided = load i32, ptr @avoided, align 4
  %is_there = icmp eq i32 %processor, %avoided
  br i1 %is_there, label %done, label %moved
moved:
  %now = call i64 @clock()
  %then = load i64, ptr @spread_at, align 8
  %elapsed = sub i64 %now, %then
  %is_recent = icmp ult i64 %elapsed, 1000000
  br i1 %is_recent, label %done, label %tell
tell:
  store i64 %now, ptr @spread_at, align 8
  call void @spread(i64 %workers)
  br label %done
done:
  ret void
}

; Start worker number %number.
define internal i1 @start(ptr %argument, i64 %number) {
entry:
  %thread = alloca i64, align 8
  %mask = alloca [16 x i64], align 8
  %m = call i32 @pthread_sigmask(i32 2, ptr @blocked, ptr %mask) ; SIG_SETMASK
  %status = call i32 @pthread_create(ptr %thread, ptr null, ptr @work, ptr %argument)
  %r = call i32 @pthread_sigmask(i32 2, ptr %mask, ptr null)
  %is_started = icmp eq i32 %status, 0
  br i1 %is_started, label %detach, label %done
detach:
  %handle = load i64, ptr %thread, align 8
  %handle_at = getelementptr i64, ptr @handles, i64 %number
  store i64 %handle, ptr %handle_at, align 8
  store i1024 0, ptr @kept_to, align 8 ; this one has not been told
  %d = call i32 @pthread_detach(i64 %handle)
  br label %done
done:
  ret i1 %is_started
}
