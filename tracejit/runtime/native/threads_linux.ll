; The thread pool's platform part for Linux: futex and pthread.

declare i64 @syscall(i64, ...)
declare i32 @clock_gettime(i32, ptr)
declare i32 @sched_yield()
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)

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

define internal i1 @start(ptr %argument) {
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
  %d = call i32 @pthread_detach(i64 %handle)
  br label %done
done:
  ret i1 %is_started
}
