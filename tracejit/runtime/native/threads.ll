; A fork-join pool: tj_parallel_for runs one parallel region, its caller and the pool's workers
; sharing the iterations.
;
; One word, @region, says everything about the current region:
;     generation : 32 | seats : 16 | parked : 1 | active : 15
; A caller opens a region by storing a new generation with as many seats as workers may join. A
; worker joins by compare-and-swap (a seat less, one more active) and leaves by subtracting itself
; from active. The caller takes part, then removes the seats that are left, and waits until nobody
; is active. So a worker that comes late finds no seat and delays nobody, and @job is only ever read
; between joining and leaving, while its caller cannot return. "parked" asks the last worker that
; leaves to wake the caller. Workers sleep on the generation half of the word, the caller on the
; other half (the layout is little-endian).
;
; The iterations are cut into as many segments as threads may take part. Each thread begins with a
; segment of its own, the same one in every region, so that what it wrote in the region before may
; still be in its cache; then it helps with the others. Iterations of a segment are claimed one by
; one, so a late thread costs at most one of them.
;
; Each call of the function is told a number that no other thread in the region has, below the number
; of threads that may take part: that of the seat, and 0 for the caller. Memory for each thread is by it.
;
; Only one region is open at a time: whoever finds @busy set (nested regions, other threads) runs
; its iterations alone.
;
; A waiting thread spins first, and yields its core every now and then: where threads outnumber
; cores, pure spinning would take time from the very thread it waits for (measured: twice slower).
;
; To wake a thread takes longer than little work does. Who opens a region tells what an iteration takes,
; about; where that is not worth it, sleeping threads are left alone, unless such regions follow one
; another: then the threads will be awake for the next.
;
; A region whose iterations poll (poll.ll) ends early where there is reason to; its caller asks whether
; there is while it waits.
;
; The platform's part is appended: @relax, @yield, @clock, @park, @nap, @unpark, @prepare, @start, @spread,
; @keep_apart.

%job = type { ptr, ptr, i64, i64 } ; function, context, number of iterations, of segments

@region = internal global i64 0, align 128
@next = internal global [1024 x [16 x i64]] zeroinitializer, align 128 ; by segment, a line each
@job = internal global %job zeroinitializer, align 128
@busy = internal global i32 0, align 128
@workers = internal global i64 0, align 8    ; threads started; changed only by the busy one
@is_refused = internal global i8 0, align 8  ; the system refused to start another thread
@sleepers = internal global i64 0, align 128

@last_short = internal global i64 0, align 128 ; when a region was last found too short to wake anybody
@last_woken = internal global i64 0, align 8   ; when one of several was not

@tj_thread_limit = external global i64 ; Python sets it, and others read it, too
@tj_spin_nanoseconds = global i64 SPIN_NANOSECONDS, align 8

; Where a segment begins, and the one before it ends.
define internal i64 @border(i64 %segment, i64 %count, i64 %segments) {
entry:
  %scaled = mul i64 %segment, %count
  %border = udiv i64 %scaled, %segments
  ret i64 %border
}

; Run iterations of the open region until none is left, those of segment %own first.
define internal void @share(i64 %own, i64 %seat) {
entry:
  %function = load ptr, ptr @job, align 8
  %context = load ptr, ptr getelementptr (%job, ptr @job, i64 0, i32 1), align 8
  %count = load i64, ptr getelementptr (%job, ptr @job, i64 0, i32 2), align 8
  %segments = load i64, ptr getelementptr (%job, ptr @job, i64 0, i32 3), align 8
  br label %visit
visit:
  %turn = phi i64 [ 0, %entry ], [ %next_turn, %leave ]
  %place = add i64 %own, %turn
  %segment = urem i64 %place, %segments
  %segment_after = add i64 %segment, 1
  %end = call i64 @border(i64 %segment_after, i64 %count, i64 %segments)
  %next_at = getelementptr [16 x i64], ptr @next, i64 %segment
  br label %look
look: ; reads first: a segment that is done must not pass its line around
  %seen = load atomic i64, ptr %next_at monotonic, align 8
  %is_open = icmp ult i64 %seen, %end
  br i1 %is_open, label %claim, label %leave
claim:
  %index = atomicrmw add ptr %next_at, i64 1 monotonic, align 8
  %is_left = icmp ult i64 %index, %end
  br i1 %is_left, label %run, label %leave
run:
  call void %function(ptr %context, i64 %index, i64 %seat)
  br label %look
leave:
  %next_turn = add i64 %turn, 1
  %is_last = icmp eq i64 %next_turn, %segments
  br i1 %is_last, label %done, label %visit
done:
  ret void
}

; One turn of a spinning wait; true when it has gone on for long enough. The clock is asked every
; 32nd turn, then the core offered to others; %since keeps the clock's first answer. A clock that
; was set back counts as long enough.
define internal i1 @is_spun_out(ptr %turns, ptr %since) {
entry:
  call void @relax()
  %turn = load i64, ptr %turns, align 8
  %next_turn = add i64 %turn, 1
  store i64 %next_turn, ptr %turns, align 8
  %phase = and i64 %turn, 31
  %is_due = icmp eq i64 %phase, 31
  br i1 %is_due, label %ask, label %go_on
ask:
  %now = call i64 @clock()
  %is_first = icmp eq i64 %turn, 31
  br i1 %is_first, label %begin, label %compare
begin:
  store i64 %now, ptr %since, align 8
  br label %go_on
compare:
  %then = load i64, ptr %since, align 8
  %elapsed = sub i64 %now, %then
  %allowed = load atomic i64, ptr @tj_spin_nanoseconds monotonic, align 8
  %is_over = icmp uge i64 %elapsed, %allowed
  br i1 %is_over, label %enough, label %yield
yield:
  call void @yield()
  ret i1 false
enough:
  ret i1 true
go_on:
  ret i1 false
}

; A worker's life. The argument is its segment and, in the lower half, the generation it need not
; look at any more.
define internal ptr @work(ptr %argument) {
entry:
  %seen = alloca i32, align 4
  %turns = alloca i64, align 8
  %since = alloca i64, align 8
  %born = ptrtoint ptr %argument to i64
  %born_generation = trunc i64 %born to i32
  store i32 %born_generation, ptr %seen, align 4
  %segment = lshr i64 %born, 32
  br label %rest
rest:
  store i64 0, ptr %turns, align 8
  br label %look
look:
  %word = load atomic i64, ptr @region acquire, align 8
  %high = lshr i64 %word, 32
  %generation = trunc i64 %high to i32
  %last = load i32, ptr %seen, align 4
  %is_new = icmp ne i32 %generation, %last
  br i1 %is_new, label %try, label %idle
try:
  %seats = and i64 %word, 4294901760
  %has_seat = icmp ne i64 %seats, 0
  br i1 %has_seat, label %join, label %full
join:
  %joined = sub i64 %word, 65535 ; a seat (65536) less and one more active
  %swap = cmpxchg ptr @region, i64 %word, i64 %joined acq_rel monotonic, align 8
  %is_in = extractvalue { i64, i1 } %swap, 1
  br i1 %is_in, label %take_part, label %look
take_part:
  store i32 %generation, ptr %seen, align 4
  %seat = lshr i64 %seats, 16
  call void @share(i64 %segment, i64 %seat)
  %before = atomicrmw sub ptr @region, i64 1 release, align 8
  %low = and i64 %before, 65535
  %is_awaited = icmp eq i64 %low, 32769 ; parked, and this was the last one active
  br i1 %is_awaited, label %wake_caller, label %rest
wake_caller:
  call void @unpark(ptr @region, i32 1)
  br label %rest
full: ; the spinning goes on where it was: a worker that is not needed goes to sleep
  store i32 %generation, ptr %seen, align 4
  br label %idle
idle:
  %is_tired = call i1 @is_spun_out(ptr %turns, ptr %since)
  br i1 %is_tired, label %sleep, label %look
sleep:
  %generation_slept_on = load i32, ptr %seen, align 4
  %a = atomicrmw add ptr @sleepers, i64 1 seq_cst, align 8
  call void @park(ptr getelementptr (i8, ptr @region, i64 4), i32 %generation_slept_on)
  %b = atomicrmw sub ptr @sleepers, i64 1 seq_cst, align 8
  br label %rest
}

; Start workers until there are %wanted, if the system lets us. A refusal is taken for an answer for
; the next thousand regions.
define internal void @hire(i64 %wanted, i64 %word) noinline {
entry:
  %generation = lshr i64 %word, 32
  %refused = load i8, ptr @is_refused, align 8
  %was_refused = icmp ne i8 %refused, 0
  %phase = and i64 %generation, 1023
  %is_waiting = icmp ne i64 %phase, 0
  %is_hopeless = and i1 %was_refused, %is_waiting
  br i1 %is_hopeless, label %done, label %first
first:
  store i8 0, ptr @is_refused, align 8
  %present = load i64, ptr @workers, align 8
  %is_none = icmp eq i64 %present, 0
  br i1 %is_none, label %set_up, label %more
set_up:
  call void @prepare()
  br label %more
more:
  %count = load i64, ptr @workers, align 8
  %is_missing = icmp ult i64 %count, %wanted
  br i1 %is_missing, label %add, label %done
add:
  %grown = add i64 %count, 1
  %segment = shl i64 %grown, 32 ; the caller has segment 0
  %both = or i64 %segment, %generation
  %argument = inttoptr i64 %both to ptr
  %is_started = call i1 @start(ptr %argument, i64 %count)
  br i1 %is_started, label %added, label %refuse
added:
  store i64 %grown, ptr @workers, align 8
  br label %more
refuse:
  store i8 1, ptr @is_refused, align 8
  br label %done
done:
  ret void
}

; The caller's wait for the workers that are still active; with a workspace it polls meanwhile.
define internal void @wait_for_workers(ptr %workspace) {
entry:
  %turns = alloca i64, align 8
  %since = alloca i64, align 8
  store i64 0, ptr %turns, align 8
  br label %look
look:
  %word = load atomic i64, ptr @region acquire, align 8
  %active = and i64 %word, 32767
  %is_alone = icmp eq i64 %active, 0
  br i1 %is_alone, label %done, label %spin
spin:
  %is_tired = call i1 @is_spun_out(ptr %turns, ptr %since)
  br i1 %is_tired, label %sleep, label %look
sleep:
  %before = atomicrmw or ptr @region, i64 32768 acq_rel, align 8
  %still_active = and i64 %before, 32767
  %is_late = icmp eq i64 %still_active, 0
  br i1 %is_late, label %done, label %park
park:
  %parked = or i64 %before, 32768
  %expected = trunc i64 %parked to i32
  %is_patient = icmp eq ptr %workspace, null
  br i1 %is_patient, label %wait, label %ask
wait:
  call void @park(ptr @region, i32 %expected)
  br label %sleep
ask:
  call void @nap(ptr @region, i32 %expected)
  %over = call i64 @tj_poll(ptr %workspace, i64 0)
  br label %sleep
done:
  ret void
}

; Whether threads should be woken for so many iterations of so many nanoseconds each (0: nobody knows).
define internal i1 @is_worth_waking(i64 %count, i64 %nanoseconds) {
entry:
  %total = mul i64 %count, %nanoseconds
  %is_known = icmp ne i64 %nanoseconds, 0
  %is_short = icmp ult i64 %total, WAKE_NANOSECONDS
  %is_in_doubt = and i1 %is_known, %is_short
  br i1 %is_in_doubt, label %ask, label %worth
ask:
  %now = call i64 @clock()
  %then = load i64, ptr @last_short, align 8
  store i64 %now, ptr @last_short, align 8
  %elapsed = sub i64 %now, %then
  %allowed = load atomic i64, ptr @tj_spin_nanoseconds monotonic, align 8
  %is_recent = icmp ult i64 %elapsed, %allowed
  %woken = load i64, ptr @last_woken, align 8
  %since = sub i64 %now, %woken
  ; A thread that was woken and has not come is waiting for a processor.
  %is_due = icmp uge i64 %since, WAKE_NANOSECONDS
  %is_wanted = and i1 %is_recent, %is_due
  br i1 %is_wanted, label %wake, label %leave
wake:
  store i64 %now, ptr @last_woken, align 8
  ret i1 true
leave:
  ret i1 false
worth:
  ret i1 true
}

; Call function(context, i) for every i in [0, count), in no order, on at most max_threads threads
; (0: as many as @tj_thread_limit, which is never exceeded); each call takes so many nanoseconds (0:
; unknown). Returns when all calls have.
define void @tj_parallel_for(ptr %function, ptr %context, i64 %count, i64 %max_threads, i64 %nanoseconds) {
entry:
  call void @fork_join(ptr %function, ptr %context, i64 %count, i64 %max_threads, i64 %nanoseconds, ptr null)
  ret void
}

; The same for a function that polls; the context begins with the address of the workspace.
define void @tj_parallel_for_polling(ptr %function, ptr %context, i64 %count, i64 %max_threads, i64 %nanoseconds) {
entry:
  %workspace = load ptr, ptr %context, align 8
  call void @fork_join(ptr %function, ptr %context, i64 %count, i64 %max_threads, i64 %nanoseconds, ptr %workspace)
  ret void
}

define internal void @fork_join(ptr %function, ptr %context, i64 %count, i64 %max_threads, i64 %nanoseconds, ptr %workspace) {
entry:
  %limit = load atomic i64, ptr @tj_thread_limit monotonic, align 8
  %is_capped = icmp sgt i64 %max_threads, 0
  %cap = select i1 %is_capped, i64 %max_threads, i64 %limit
  %threads = call i64 @llvm.smin.i64(i64 %cap, i64 %limit)
  %useful = call i64 @llvm.smin.i64(i64 %threads, i64 %count)
  %helpers = sub i64 %useful, 1
  %is_parallel = icmp sgt i64 %helpers, 0
  br i1 %is_parallel, label %peek, label %alone
peek: ; reads first: nested regions must not pass the cache line around
  %is_busy = load atomic i32, ptr @busy monotonic, align 4
  %is_free = icmp eq i32 %is_busy, 0
  br i1 %is_free, label %enter, label %alone
enter:
  %swap = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic, align 4
  %is_mine = extractvalue { i32, i1 } %swap, 1
  br i1 %is_mine, label %count_workers, label %alone
count_workers:
  %old_word = load atomic i64, ptr @region monotonic, align 8
  %present = load i64, ptr @workers, align 8
  %resting = load atomic i64, ptr @sleepers monotonic, align 8
  %ready = sub i64 %present, %resting
  %are_enough = icmp sge i64 %ready, %helpers
  br i1 %are_enough, label %open, label %consider
consider:
  %is_worth_it = call i1 @is_worth_waking(i64 %count, i64 %nanoseconds)
  br i1 %is_worth_it, label %gather, label %make_do
make_do: ; with those that are awake
  %is_any_ready = icmp sgt i64 %ready, 0
  br i1 %is_any_ready, label %open, label %give_up
give_up:
  store atomic i32 0, ptr @busy release, align 4
  br label %alone
gather:
  %is_short = icmp slt i64 %present, %helpers
  br i1 %is_short, label %short, label %open
short:
  call void @hire(i64 %helpers, i64 %old_word)
  %grown = load i64, ptr @workers, align 8
  call void @spread(i64 %grown)
  br label %open
open:
  %may_wake = phi i1 [ true, %count_workers ], [ false, %make_do ], [ true, %gather ], [ true, %short ]
  store ptr %function, ptr @job, align 8
  store ptr %context, ptr getelementptr (%job, ptr @job, i64 0, i32 1), align 8
  store i64 %count, ptr getelementptr (%job, ptr @job, i64 0, i32 2), align 8
  store i64 %useful, ptr getelementptr (%job, ptr @job, i64 0, i32 3), align 8
  br label %cut
cut:
  %segment = phi i64 [ 0, %open ], [ %segment_after, %cut ]
  %begin = call i64 @border(i64 %segment, i64 %count, i64 %useful)
  %next_at = getelementptr [16 x i64], ptr @next, i64 %segment
  store atomic i64 %begin, ptr %next_at monotonic, align 8
  %segment_after = add i64 %segment, 1
  %is_cut = icmp eq i64 %segment_after, %useful
  br i1 %is_cut, label %announce, label %cut
announce:
  %old_generation = and i64 %old_word, -4294967296
  %generation = add i64 %old_generation, 4294967296
  %seats = shl i64 %helpers, 16
  %word = or i64 %generation, %seats
  store atomic i64 %word, ptr @region seq_cst, align 8
  %hired = load i64, ptr @workers, align 8
  call void @keep_apart(i64 %hired)
  %asleep = load atomic i64, ptr @sleepers seq_cst, align 8
  %awake = sub i64 %hired, %asleep
  %missing = sub i64 %helpers, %awake
  %is_anyone_asleep = icmp sgt i64 %asleep, 0
  %is_anyone_missing = icmp sgt i64 %missing, 0
  %is_any_to_wake = and i1 %is_anyone_asleep, %is_anyone_missing
  %must_wake = and i1 %may_wake, %is_any_to_wake
  br i1 %must_wake, label %wake, label %take_part
wake:
  call void @spread(i64 %hired)
  %missing_32 = trunc i64 %missing to i32
  call void @unpark(ptr getelementptr (i8, ptr @region, i64 4), i32 %missing_32)
  br label %take_part
take_part:
  call void @share(i64 0, i64 0)
  %at_close = atomicrmw and ptr @region, i64 -4294901761 acq_rel, align 8 ; no seat is left
  %active = and i64 %at_close, 32767
  %is_alone = icmp eq i64 %active, 0
  br i1 %is_alone, label %leave, label %wait
wait:
  call void @wait_for_workers(ptr %workspace)
  br label %leave
leave:
  store atomic i32 0, ptr @busy release, align 4
  ret void
alone:
  %is_empty = icmp slt i64 %count, 1
  br i1 %is_empty, label %done, label %each
each:
  %index = phi i64 [ 0, %alone ], [ %next_index, %each ]
  call void %function(ptr %context, i64 %index, i64 0)
  %next_index = add i64 %index, 1
  %is_last = icmp eq i64 %next_index, %count
  br i1 %is_last, label %done, label %each
done:
  ret void
}

; For the child of a fork, which has this state but none of the threads.
define void @tj_forget_threads() {
entry:
  store atomic i64 0, ptr @region monotonic, align 8
  store atomic i32 0, ptr @busy monotonic, align 4
  store atomic i64 0, ptr @sleepers monotonic, align 8
  store i64 0, ptr @workers, align 8
  store i8 0, ptr @is_refused, align 8
  ret void
}

declare i64 @llvm.smin.i64(i64, i64)
