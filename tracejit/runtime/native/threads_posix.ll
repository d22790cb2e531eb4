; The thread pool's platform part for POSIX systems without futex: a mutex and a condition variable.

declare i32 @clock_gettime(i32, ptr)
declare i32 @sched_yield()
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_timedwait(ptr, ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)

; Larger than any system's pthread_mutex_t and pthread_cond_t.
@mutex = internal global [32 x i64] zeroinitializer, align 128
@condition = internal global [32 x i64] zeroinitializer, align 128

define internal i64 @clock() {
entry:
  %time = alloca { i64, i64 }, align 8
  %status = call i32 @clock_gettime(i32 0, ptr %time) ; CLOCK_REALTIME, the only portable number
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
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  %value = load atomic i32, ptr %word seq_cst, align 4
  %is_expected = icmp eq i32 %value, %expected
  br i1 %is_expected, label %sleep, label %done
sleep:
  %w = call i32 @pthread_cond_wait(ptr @condition, ptr @mutex)
  br label %done
done:
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

; The same, for no longer than 20 ms.
define internal void @nap(ptr %word, i32 %expected) noinline {
entry:
  %until = alloca { i64, i64 }, align 8
  %now = call i64 @clock()
  %end = add i64 %now, 20000000
  %seconds = udiv i64 %end, 1000000000
  %fraction = urem i64 %end, 1000000000
  store i64 %seconds, ptr %until, align 8
  %fraction_at = getelementptr i8, ptr %until, i64 8
  store i64 %fraction, ptr %fraction_at, align 8
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  %value = load atomic i32, ptr %word seq_cst, align 4
  %is_expected = icmp eq i32 %value, %expected
  br i1 %is_expected, label %sleep, label %done
sleep:
  %w = call i32 @pthread_cond_timedwait(ptr @condition, ptr @mutex, ptr %until)
  br label %done
done:
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

; Wakes everybody: workers and the caller share the condition.
define internal void @unpark(ptr %word, i32 %count) noinline {
entry:
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  %b = call i32 @pthread_cond_broadcast(ptr @condition)
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

define internal void @prepare() {
entry:
  %m = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %c = call i32 @pthread_cond_init(ptr @condition, ptr null)
  ret void
}

; Processors are left to the system.
define internal void @spread(i64 %workers) {
entry:
  ret void
}

define internal void @keep_apart(i64 %workers) {
entry:
  ret void
}

define internal i1 @start(ptr %argument, i64 %number) {
entry:
  %thread = alloca ptr, align 8
  %status = call i32 @pthread_create(ptr %thread, ptr null, ptr @work, ptr %argument)
  %is_started = icmp eq i32 %status, 0
  br i1 %is_started, label %detach, label %done
detach:
  %handle = load ptr, ptr %thread, align 8
  %d = call i32 @pthread_detach(ptr %handle)
  br label %done
done:
  ret i1 %is_started
}
